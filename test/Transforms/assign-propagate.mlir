// A seed anywhere in a column/row pair finds the whole pair: one reshard of a
// partial sum and nothing else.
// RUN: split-file %s %t
// RUN: tpc-opt %t/column.mlir --tpc-phase-assign=mode=propagate | FileCheck %s --check-prefix=PAIR
// RUN: tpc-opt %t/row.mlir --tpc-phase-assign=mode=propagate | FileCheck %s --check-prefix=PAIR
// RUN: tpc-opt %t/activation.mlir --tpc-phase-assign=mode=propagate | FileCheck %s --check-prefix=PAIR
// RUN: tpc-opt %t/argument.mlir --tpc-phase-assign=mode=propagate | FileCheck %t/argument.mlir
// RUN: tpc-opt %t/none.mlir --tpc-phase-assign=mode=propagate | FileCheck %t/none.mlir

// PAIR-DAG: tpc.parameter @up : tensor<8x16xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
// PAIR-DAG: tpc.parameter @down : tensor<16x8xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>>
// PAIR-NOT: tpc.reshard
// PAIR: tpc.gelu {{.*}} -> tensor<4x16xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
// PAIR-NOT: tpc.reshard
// PAIR: %[[Y:.*]] = tpc.matmul {{.*}} -> tensor<4x8xf32, #tpc.sharding<@mesh, [{}, {}], sum {"tp"}>>
// PAIR-NEXT: %[[R:.*]] = tpc.reshard %[[Y]] {{.*}} -> tensor<4x8xf32, #tpc.sharding<@mesh, [{}, {}]>>
// PAIR-NOT: tpc.reshard
// PAIR: return

//--- column.mlir
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @up : tensor<8x16xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}
tpc.parameter @down : tensor<16x8xf32>
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %up = tpc.read @up : tensor<8x16xf32>
  %down = tpc.read @down : tensor<16x8xf32>
  %h = tpc.matmul %x, %up "b e, e f -> b f" : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
  %a = tpc.gelu erf %h : (tensor<4x16xf32>) -> tensor<4x16xf32>
  %y = tpc.matmul %a, %down "b f, f e -> b e" : (tensor<4x16xf32>, tensor<16x8xf32>) -> tensor<4x8xf32>
  %r = tpc.add %y, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %r : tensor<4x8xf32>
}

//--- row.mlir
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @up : tensor<8x16xf32>
tpc.parameter @down : tensor<16x8xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}, {}]>}
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %up = tpc.read @up : tensor<8x16xf32>
  %down = tpc.read @down : tensor<16x8xf32>
  %h = tpc.matmul %x, %up "b e, e f -> b f" : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
  %a = tpc.gelu erf %h : (tensor<4x16xf32>) -> tensor<4x16xf32>
  %y = tpc.matmul %a, %down "b f, f e -> b e" : (tensor<4x16xf32>, tensor<16x8xf32>) -> tensor<4x8xf32>
  %r = tpc.add %y, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %r : tensor<4x8xf32>
}

//--- activation.mlir
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @up : tensor<8x16xf32>
tpc.parameter @down : tensor<16x8xf32>
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %up = tpc.read @up : tensor<8x16xf32>
  %down = tpc.read @down : tensor<16x8xf32>
  %h = tpc.matmul %x, %up "b e, e f -> b f" : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
  %a = tpc.gelu erf %h : (tensor<4x16xf32>) -> tensor<4x16xf32>
  %s = tpc.shard %a <@mesh, [{}, {"tp"}]> : (tensor<4x16xf32>) -> tensor<4x16xf32>
  %y = tpc.matmul %s, %down "b f, f e -> b e" : (tensor<4x16xf32>, tensor<16x8xf32>) -> tensor<4x8xf32>
  %r = tpc.add %y, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %r : tensor<4x8xf32>
}

// The batch spreads from an argument to everything but weights: no reshard.
//--- argument.mlir
tpc.mesh @mesh <"tp" = 2>
// CHECK-DAG: tpc.parameter @up : tensor<8x16xf32, #tpc.sharding<@mesh, [{}, {}]>>
// CHECK-NOT: tpc.reshard
// CHECK: return {{.*}} : tensor<4x16xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>>
tpc.parameter @up : tensor<8x16xf32>
func.func @main(%x: tensor<4x8xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}, {}]>}) -> tensor<4x16xf32> {
  %up = tpc.read @up : tensor<8x16xf32>
  %h = tpc.matmul %x, %up "b e, e f -> b f" : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
  %a = tpc.softmax %h : (tensor<4x16xf32>) -> tensor<4x16xf32>
  return %a : tensor<4x16xf32>
}

// Without a seed nothing is split.
//--- none.mlir
tpc.mesh @mesh <"tp" = 2>
// CHECK-NOT: {"tp"}
// CHECK: return
func.func @main(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>) -> tensor<4x16xf32> {
  %h = tpc.matmul %x, %w "b e, e f -> b f" : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
  return %h : tensor<4x16xf32>
}
