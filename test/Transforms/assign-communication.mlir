// Where modes communicate: a value is brought to a sharding once for all its
// users, partial values are summed before they are reduced, and reductions are
// where the value is smallest. Every result is proved as any compile is.
// RUN: split-file %s %t
// RUN: tpc-opt %t/shared.mlir --tpc-phase-assign="mode=auto machine=h100" | FileCheck %t/shared.mlir
// RUN: tpc-opt %t/shared.mlir --tpc-phase-assign=mode=megatron | FileCheck %t/shared.mlir
// RUN: tpc-opt %t/shared.mlir --tpc-phase-assign=mode=propagate | FileCheck %t/shared.mlir
// RUN: tpc-opt %t/sums.mlir --tpc-phase-assign="mode=auto machine=h100" | FileCheck %t/sums.mlir
// RUN: tpc-opt %t/sums.mlir --tpc-phase-assign=mode=megatron | FileCheck %t/sums.mlir
// RUN: tpc-opt %t/sums.mlir --tpc-phase-assign=mode=propagate | FileCheck %t/sums.mlir
// RUN: tpc-opt %t/smaller.mlir --tpc-phase-assign="mode=auto machine=h100" | FileCheck %t/smaller.mlir
// RUN: tpc-opt %t/smaller.mlir --tpc-phase-assign=mode=megatron | FileCheck %t/smaller.mlir
// RUN: tpc-opt %t/smaller.mlir --tpc-phase-assign=mode=propagate | FileCheck %t/smaller.mlir
// RUN: tpc-opt %t/larger.mlir --tpc-phase-assign="mode=auto machine=h100" | FileCheck %t/larger.mlir
// RUN: tpc-opt %t/larger.mlir --tpc-phase-assign=mode=megatron | FileCheck %t/larger.mlir
// RUN: tpc-opt %t/larger.mlir --tpc-phase-assign=mode=propagate | FileCheck %t/larger.mlir
// RUN: tpc-opt %t/products.mlir --tpc-phase-assign=mode=megatron | FileCheck %t/products.mlir
//
// RUN: tpc-opt %t/shared.mlir --tpc-phase-assign="mode=auto machine=h100" --tpc-phase-partition --tpc-phase-verify | FileCheck %t/shared.mlir --check-prefix=PROGRAM
// RUN: tpc-opt %t/sums.mlir --tpc-phase-assign=mode=megatron --tpc-phase-partition --tpc-phase-verify | FileCheck %t/sums.mlir --check-prefix=PROGRAM
// RUN: tpc-opt %t/smaller.mlir --tpc-phase-assign=mode=megatron --tpc-phase-partition --tpc-phase-verify | FileCheck %t/smaller.mlir --check-prefix=PROGRAM
// RUN: tpc-opt %t/larger.mlir --tpc-phase-assign=mode=megatron --tpc-phase-partition --tpc-phase-verify | FileCheck %t/larger.mlir --check-prefix=PROGRAM

// One gather for three products; what reads the block as it is reads no gather.
//--- shared.mlir
tpc.mesh @mesh <"tp" = 4>
tpc.parameter @q : tensor<4096x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}
tpc.parameter @k : tensor<4096x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}
tpc.parameter @v : tensor<4096x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<256x4096xbf16
func.func @main(%x: tensor<256x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}, {}]>}) -> (
    tensor<256x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>},
    tensor<256x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>},
    tensor<256x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>},
    tensor<256x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}, {}]>}) {
  %q = tpc.read @q : tensor<4096x4096xbf16>
  %k = tpc.read @k : tensor<4096x4096xbf16>
  %v = tpc.read @v : tensor<4096x4096xbf16>
  // CHECK: %[[G:.*]] = tpc.reshard %[[X]] {{.*}} -> tensor<256x4096xbf16, #tpc.sharding<@mesh, [{}, {}]>>
  // CHECK-NOT: tpc.reshard
  // CHECK: tpc.matmul %[[G]],
  // CHECK: tpc.matmul %[[G]],
  // CHECK: tpc.matmul %[[G]],
  // CHECK: tpc.neg %[[X]]
  // CHECK-NOT: tpc.reshard
  // PROGRAM: spmd.program
  // PROGRAM: spmd.all_gather
  // PROGRAM-NOT: spmd.all_gather
  // PROGRAM-NOT: spmd.slice
  // PROGRAM: spmd.return
  %0 = tpc.matmul %x, %q "b e, e f -> b f" : (tensor<256x4096xbf16>, tensor<4096x4096xbf16>) -> tensor<256x4096xbf16>
  %1 = tpc.matmul %x, %k "b e, e f -> b f" : (tensor<256x4096xbf16>, tensor<4096x4096xbf16>) -> tensor<256x4096xbf16>
  %2 = tpc.matmul %x, %v "b e, e f -> b f" : (tensor<256x4096xbf16>, tensor<4096x4096xbf16>) -> tensor<256x4096xbf16>
  %3 = tpc.neg %x : (tensor<256x4096xbf16>) -> tensor<256x4096xbf16>
  return %0, %1, %2, %3 : tensor<256x4096xbf16>, tensor<256x4096xbf16>, tensor<256x4096xbf16>, tensor<256x4096xbf16>
}

// Two partial values are summed and reduced once. In a product of values (not
// linear in both) each is reduced before.
//--- sums.mlir
tpc.mesh @mesh <"tp" = 4>
tpc.parameter @a : tensor<4096x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}, {}]>}
tpc.parameter @b : tensor<4096x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}, {}]>}
// CHECK-LABEL: func.func @sum
// PROGRAM-LABEL: spmd.program @sum.spmd
func.func @sum(%x: tensor<256x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}) -> (
    tensor<256x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{}, {}]>}) {
  %a = tpc.read @a : tensor<4096x4096xbf16>
  %b = tpc.read @b : tensor<4096x4096xbf16>
  // CHECK-NOT: tpc.reshard
  // CHECK: tpc.add {{.*}} -> tensor<256x4096xbf16, #tpc.sharding<@mesh, [{}, {}], sum {"tp"}>>
  // CHECK: tpc.reshard
  // CHECK-NOT: tpc.reshard
  // CHECK: {{^ *return}}
  // PROGRAM: tpc.add
  // PROGRAM: spmd.all_reduce
  // PROGRAM-NOT: spmd.all_reduce
  // PROGRAM: spmd.return
  %0 = tpc.matmul %x, %a "b f, f e -> b e" : (tensor<256x4096xbf16>, tensor<4096x4096xbf16>) -> tensor<256x4096xbf16>
  %1 = tpc.matmul %x, %b "b f, f e -> b e" : (tensor<256x4096xbf16>, tensor<4096x4096xbf16>) -> tensor<256x4096xbf16>
  %2 = tpc.add %0, %1 : (tensor<256x4096xbf16>, tensor<256x4096xbf16>) -> tensor<256x4096xbf16>
  return %2 : tensor<256x4096xbf16>
}
// CHECK-LABEL: func.func @product
// PROGRAM-LABEL: spmd.program @product.spmd
func.func @product(%x: tensor<256x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}) -> (
    tensor<256x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{}, {}]>}) {
  %a = tpc.read @a : tensor<4096x4096xbf16>
  %b = tpc.read @b : tensor<4096x4096xbf16>
  // CHECK-NOT: tpc.mul {{.*}} sum {"tp"}
  // CHECK: tpc.reshard
  // CHECK: tpc.reshard
  // CHECK: tpc.mul {{.*}} -> tensor<256x4096xbf16, #tpc.sharding<@mesh, [
  // CHECK: {{^ *return}}
  %0 = tpc.matmul %x, %a "b f, f e -> b e" : (tensor<256x4096xbf16>, tensor<4096x4096xbf16>) -> tensor<256x4096xbf16>
  %1 = tpc.matmul %x, %b "b f, f e -> b e" : (tensor<256x4096xbf16>, tensor<4096x4096xbf16>) -> tensor<256x4096xbf16>
  %2 = tpc.mul %0, %1 : (tensor<256x4096xbf16>, tensor<256x4096xbf16>) -> tensor<256x4096xbf16>
  return %2 : tensor<256x4096xbf16>
}

// A partial value that gets smaller is reduced afterwards: a slice, a sum over
// another dimension, a narrower type. One that others read whole is reduced
// before.
//--- smaller.mlir
tpc.mesh @mesh <"tp" = 4>
tpc.parameter @a : tensor<4096x4096xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}, {}]>}
// CHECK-LABEL: func.func @slice
// PROGRAM-LABEL: spmd.program @slice.spmd
func.func @slice(%x: tensor<256x4096xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}) -> (
    tensor<8x4096xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {}]>}) {
  %a = tpc.read @a : tensor<4096x4096xf32>
  // CHECK-NOT: tpc.reshard
  // CHECK: %[[S:.*]] = tpc.slice {{.*}} -> tensor<8x4096xf32, #tpc.sharding<@mesh, [{}, {}], sum {"tp"}>>
  // CHECK-NEXT: tpc.reshard %[[S]]
  // CHECK-NEXT: {{^ *return}}
  // PROGRAM: spmd.all_reduce {{.*}} -> tensor<8x4096xf32>
  %0 = tpc.matmul %x, %a "b f, f e -> b e" : (tensor<256x4096xf32>, tensor<4096x4096xf32>) -> tensor<256x4096xf32>
  %1 = tpc.slice %0 [248, 0] : (tensor<256x4096xf32>) -> tensor<8x4096xf32>
  return %1 : tensor<8x4096xf32>
}
// CHECK-LABEL: func.func @sum
// PROGRAM-LABEL: spmd.program @sum.spmd
func.func @sum(%x: tensor<256x4096xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}) -> (
    tensor<4096xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}]>}) {
  %a = tpc.read @a : tensor<4096x4096xf32>
  // CHECK-NOT: tpc.reshard
  // CHECK: %[[S:.*]] = tpc.reduce {{.*}} -> tensor<4096xf32, #tpc.sharding<@mesh, [{}], sum {"tp"}>>
  // CHECK-NEXT: tpc.reshard %[[S]]
  // CHECK-NEXT: {{^ *return}}
  // PROGRAM: spmd.all_reduce {{.*}} -> tensor<4096xf32>
  %0 = tpc.matmul %x, %a "b f, f e -> b e" : (tensor<256x4096xf32>, tensor<4096x4096xf32>) -> tensor<256x4096xf32>
  %1 = tpc.reduce sum %0 dims [0] : (tensor<256x4096xf32>) -> tensor<4096xf32>
  return %1 : tensor<4096xf32>
}
// CHECK-LABEL: func.func @narrow
// PROGRAM-LABEL: spmd.program @narrow.spmd
func.func @narrow(%x: tensor<256x4096xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}) -> (
    tensor<256x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{}, {}]>}) {
  %a = tpc.read @a : tensor<4096x4096xf32>
  // CHECK-NOT: tpc.reshard
  // CHECK: %[[S:.*]] = tpc.convert {{.*}} -> tensor<256x4096xbf16, #tpc.sharding<@mesh, [{}, {}], sum {"tp"}>>
  // CHECK-NEXT: tpc.reshard %[[S]]
  // CHECK-NEXT: {{^ *return}}
  // PROGRAM: spmd.all_reduce {{.*}} -> tensor<256x4096xbf16>
  %0 = tpc.matmul %x, %a "b f, f e -> b e" : (tensor<256x4096xf32>, tensor<4096x4096xf32>) -> tensor<256x4096xf32>
  %1 = tpc.convert %0 : (tensor<256x4096xf32>) -> tensor<256x4096xbf16>
  return %1 : tensor<256x4096xbf16>
}
// CHECK-LABEL: func.func @both
// PROGRAM-LABEL: spmd.program @both.spmd
func.func @both(%x: tensor<256x4096xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}) -> (
    tensor<8x4096xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {}]>},
    tensor<256x4096xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {}]>}) {
  %a = tpc.read @a : tensor<4096x4096xf32>
  // CHECK: %[[Y:.*]] = tpc.matmul
  // CHECK-NEXT: %[[R:.*]] = tpc.reshard %[[Y]]
  // CHECK-NOT: tpc.reshard
  // CHECK: tpc.slice %[[R]]
  // CHECK-NOT: tpc.reshard
  // CHECK: {{^ *return}}
  // PROGRAM: spmd.all_reduce
  // PROGRAM-NOT: spmd.all_reduce
  // PROGRAM: spmd.return
  %0 = tpc.matmul %x, %a "b f, f e -> b e" : (tensor<256x4096xf32>, tensor<4096x4096xf32>) -> tensor<256x4096xf32>
  %1 = tpc.slice %0 [248, 0] : (tensor<256x4096xf32>) -> tensor<8x4096xf32>
  return %1, %0 : tensor<8x4096xf32>, tensor<256x4096xf32>
}

// One that gets larger is reduced before: spread over a dimension, a wider type,
// zeros around it.
//--- larger.mlir
tpc.mesh @mesh <"tp" = 4>
tpc.parameter @a : tensor<4096x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}, {}]>}
// CHECK-LABEL: func.func @spread
// PROGRAM-LABEL: spmd.program @spread.spmd
func.func @spread(%x: tensor<256x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}) -> (
    tensor<8x256x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{}, {}, {}]>}) {
  %a = tpc.read @a : tensor<4096x4096xbf16>
  // CHECK: %[[Y:.*]] = tpc.matmul
  // CHECK-NEXT: %[[R:.*]] = tpc.reshard %[[Y]]
  // CHECK-NEXT: tpc.broadcast %[[R]]
  // CHECK-NEXT: {{^ *return}}
  // PROGRAM: spmd.all_reduce {{.*}} -> tensor<256x4096xbf16>
  %0 = tpc.matmul %x, %a "b f, f e -> b e" : (tensor<256x4096xbf16>, tensor<4096x4096xbf16>) -> tensor<256x4096xbf16>
  %1 = tpc.broadcast %0 dims [1, 2] : (tensor<256x4096xbf16>) -> tensor<8x256x4096xbf16>
  return %1 : tensor<8x256x4096xbf16>
}
// CHECK-LABEL: func.func @wider
// PROGRAM-LABEL: spmd.program @wider.spmd
func.func @wider(%x: tensor<256x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}) -> (
    tensor<256x4096xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {}]>}) {
  %a = tpc.read @a : tensor<4096x4096xbf16>
  // CHECK: %[[Y:.*]] = tpc.matmul
  // CHECK-NEXT: %[[R:.*]] = tpc.reshard %[[Y]]
  // CHECK-NEXT: tpc.convert %[[R]]
  // CHECK-NEXT: {{^ *return}}
  // PROGRAM: spmd.all_reduce {{.*}} -> tensor<256x4096xbf16>
  %0 = tpc.matmul %x, %a "b f, f e -> b e" : (tensor<256x4096xbf16>, tensor<4096x4096xbf16>) -> tensor<256x4096xbf16>
  %1 = tpc.convert %0 : (tensor<256x4096xbf16>) -> tensor<256x4096xf32>
  return %1 : tensor<256x4096xf32>
}
// CHECK-LABEL: func.func @padded
// PROGRAM-LABEL: spmd.program @padded.spmd
func.func @padded(%x: tensor<256x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}) -> (
    tensor<512x4096xbf16> {tpc.sharding = #tpc.sharding<@mesh, [{}, {}]>}) {
  %a = tpc.read @a : tensor<4096x4096xbf16>
  // CHECK: %[[Y:.*]] = tpc.matmul
  // CHECK-NEXT: %[[R:.*]] = tpc.reshard %[[Y]]
  // CHECK-NEXT: tpc.pad %[[R]]
  // CHECK-NEXT: {{^ *return}}
  // PROGRAM: spmd.all_reduce {{.*}} -> tensor<256x4096xbf16>
  %0 = tpc.matmul %x, %a "b f, f e -> b e" : (tensor<256x4096xbf16>, tensor<4096x4096xbf16>) -> tensor<256x4096xbf16>
  %1 = tpc.pad %0 low [128, 0] with 0.0 : (tensor<256x4096xbf16>) -> tensor<512x4096xbf16>
  return %1 : tensor<512x4096xbf16>
}

// By rule a product of a partial value is split, also where its result is
// smaller: as a whole every device would compute all of it.
//--- products.mlir
tpc.mesh @mesh <"tp" = 4>
tpc.parameter @a : tensor<64x64xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}, {}]>}
tpc.parameter @b : tensor<64x16xf32>
// CHECK: tpc.parameter @b : tensor<64x16xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<8x64xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}) -> tensor<8x16xf32> {
  %a = tpc.read @a : tensor<64x64xf32>
  %b = tpc.read @b : tensor<64x16xf32>
  // CHECK: %[[Y:.*]] = tpc.matmul
  // CHECK: %[[R:.*]] = tpc.reshard %[[Y]]
  // CHECK: tpc.matmul %[[R]]
  %0 = tpc.matmul %x, %a "b f, f e -> b e" : (tensor<8x64xf32>, tensor<64x64xf32>) -> tensor<8x64xf32>
  %1 = tpc.matmul %0, %b "b e, e f -> b f" : (tensor<8x64xf32>, tensor<64x16xf32>) -> tensor<8x16xf32>
  return %1 : tensor<8x16xf32>
}
