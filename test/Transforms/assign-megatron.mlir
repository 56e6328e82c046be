// Column and row pairs by rule: one all-reduce a pair, none inside.
// RUN: split-file %s %t
// RUN: tpc-opt %t/mlp.mlir --tpc-phase-assign=mode=megatron | FileCheck %t/mlp.mlir
// RUN: tpc-opt %t/attention.mlir --tpc-phase-assign=mode=megatron | FileCheck %t/attention.mlir
// RUN: tpc-opt %t/vocabulary.mlir --tpc-phase-assign=mode=megatron | FileCheck %t/vocabulary.mlir
// RUN: tpc-opt %t/data.mlir --tpc-phase-assign=mode=megatron | FileCheck %t/data.mlir
// RUN: tpc-opt %t/experts.mlir --tpc-phase-assign=mode=megatron | FileCheck %t/experts.mlir
// RUN: tpc-opt %t/experts-inside.mlir --tpc-phase-assign=mode=megatron | FileCheck %t/experts-inside.mlir
// RUN: tpc-opt %t/kept.mlir --tpc-phase-assign=mode=megatron | FileCheck %t/kept.mlir

// The bias of the row-parallel layer is kept on one device and reduced with it.
//--- mlp.mlir
tpc.mesh @mesh <"tp" = 4>
// CHECK-DAG: tpc.parameter @up : tensor<64x256xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
// CHECK-DAG: tpc.parameter @up_bias : tensor<256xf32, #tpc.sharding<@mesh, [{"tp"}]>>
// CHECK-DAG: tpc.parameter @down : tensor<256x64xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>>
// CHECK-DAG: tpc.parameter @down_bias : tensor<64xf32, #tpc.sharding<@mesh, [{}]>>
tpc.parameter @up : tensor<64x256xf32>
tpc.parameter @up_bias : tensor<256xf32>
tpc.parameter @down : tensor<256x64xf32>
tpc.parameter @down_bias : tensor<64xf32>
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<8x64xf32, #tpc.sharding<@mesh, [{}, {}]>>)
func.func @main(%x: tensor<8x64xf32>) -> tensor<8x64xf32> {
  %up = tpc.read @up : tensor<64x256xf32>
  %up_bias = tpc.read @up_bias : tensor<256xf32>
  %down = tpc.read @down : tensor<256x64xf32>
  %down_bias = tpc.read @down_bias : tensor<64xf32>
  // CHECK: tpc.linear %[[X]], {{.*}} -> tensor<8x256xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
  %h = tpc.linear %x, %up, %up_bias "b e, e f -> b f" : (tensor<8x64xf32>, tensor<64x256xf32>, tensor<256xf32>) -> tensor<8x256xf32>
  // CHECK: tpc.gelu {{.*}} -> tensor<8x256xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
  %a = tpc.gelu erf %h : (tensor<8x256xf32>) -> tensor<8x256xf32>
  // CHECK: tpc.reshard {{.*}} -> tensor<64xf32, #tpc.sharding<@mesh, [{}], sum {"tp"}>>
  // CHECK: %[[Y:.*]] = tpc.linear {{.*}} -> tensor<8x64xf32, #tpc.sharding<@mesh, [{}, {}], sum {"tp"}>>
  %y = tpc.linear %a, %down, %down_bias "b f, f e -> b e" : (tensor<8x256xf32>, tensor<256x64xf32>, tensor<64xf32>) -> tensor<8x64xf32>
  // CHECK: %[[R:.*]] = tpc.reshard %[[Y]] why <"tpc.linear" to "func.return", {{.*}} -> tensor<8x64xf32, #tpc.sharding<@mesh, [{}, {}]>>
  // CHECK-NEXT: return %[[R]]
  return %y : tensor<8x64xf32>
}

// Heads are split, also where their number does not divide; the projections are
// the columns, the output projection the rows.
//--- attention.mlir
tpc.mesh @mesh <"tp" = 4>
// CHECK-DAG: tpc.parameter @q : tensor<16x6x1x8xf32, #tpc.sharding<@mesh, [{}, {"tp"}, {}, {}]>>
// CHECK-DAG: tpc.parameter @k : tensor<16x6x8xf32, #tpc.sharding<@mesh, [{}, {"tp"}, {}]>>
// CHECK-DAG: tpc.parameter @v : tensor<16x6x8xf32, #tpc.sharding<@mesh, [{}, {"tp"}, {}]>>
// CHECK-DAG: tpc.parameter @o : tensor<6x1x8x16xf32, #tpc.sharding<@mesh, [{"tp"}, {}, {}, {}]>>
tpc.parameter @q : tensor<16x6x1x8xf32>
tpc.parameter @k : tensor<16x6x8xf32>
tpc.parameter @v : tensor<16x6x8xf32>
tpc.parameter @o : tensor<6x1x8x16xf32>
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<2x5x16xf32>) -> tensor<2x5x16xf32> {
  %wq = tpc.read @q : tensor<16x6x1x8xf32>
  %wk = tpc.read @k : tensor<16x6x8xf32>
  %wv = tpc.read @v : tensor<16x6x8xf32>
  %wo = tpc.read @o : tensor<6x1x8x16xf32>
  // CHECK-NOT: tpc.reshard
  %q = tpc.matmul %x, %wq "b s e, e h g d -> b s h g d" : (tensor<2x5x16xf32>, tensor<16x6x1x8xf32>) -> tensor<2x5x6x1x8xf32>
  %k = tpc.matmul %x, %wk "b s e, e h d -> b s h d" : (tensor<2x5x16xf32>, tensor<16x6x8xf32>) -> tensor<2x5x6x8xf32>
  %v = tpc.matmul %x, %wv "b s e, e h d -> b s h d" : (tensor<2x5x16xf32>, tensor<16x6x8xf32>) -> tensor<2x5x6x8xf32>
  // CHECK: tpc.attention {{.*}} -> tensor<2x5x6x1x8xf32, #tpc.sharding<@mesh, [{}, {}, {"tp"}, {}, {}]>>
  %c = tpc.attention %q, %k, %v scale 0.35 causal : (tensor<2x5x6x1x8xf32>, tensor<2x5x6x8xf32>, tensor<2x5x6x8xf32>) -> tensor<2x5x6x1x8xf32>
  // CHECK-NEXT: tpc.matmul {{.*}} -> tensor<2x5x16xf32, #tpc.sharding<@mesh, [{}, {}, {}], sum {"tp"}>>
  %y = tpc.matmul %c, %wo "b s h g d, h g d e -> b s e" : (tensor<2x5x6x1x8xf32>, tensor<6x1x8x16xf32>) -> tensor<2x5x16xf32>
  // CHECK-NEXT: tpc.reshard
  // CHECK-NOT: tpc.reshard
  %r = tpc.add %y, %x : (tensor<2x5x16xf32>, tensor<2x5x16xf32>) -> tensor<2x5x16xf32>
  return %r : tensor<2x5x16xf32>
}

// One table, split by vocabulary for the look-up (reduced once) and for the
// logits (a column); a table of token types is too small to be worth it.
//--- vocabulary.mlir
tpc.mesh @mesh <"tp" = 4>
// CHECK-DAG: tpc.parameter @table : tensor<101x8xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>>
// CHECK-DAG: tpc.parameter @types : tensor<2x8xf32, #tpc.sharding<@mesh, [{}, {}]>>
tpc.parameter @table : tensor<101x8xf32>
tpc.parameter @types : tensor<2x8xf32>
// CHECK-LABEL: func.func @main
func.func @main(%tokens: tensor<2x3xi64>, %kinds: tensor<2x3xi64>) -> tensor<2x3x101xf32> {
  %table = tpc.read @table : tensor<101x8xf32>
  %types = tpc.read @types : tensor<2x8xf32>
  // CHECK: %[[E:.*]] = tpc.embedding {{.*}} -> tensor<2x3x8xf32, #tpc.sharding<@mesh, [{}, {}, {}], sum {"tp"}>>
  %e = tpc.embedding %table, %tokens : (tensor<101x8xf32>, tensor<2x3xi64>) -> tensor<2x3x8xf32>
  // CHECK: tpc.embedding {{.*}} -> tensor<2x3x8xf32, #tpc.sharding<@mesh, [{}, {}, {}]>>
  %t = tpc.embedding %types, %kinds : (tensor<2x8xf32>, tensor<2x3xi64>) -> tensor<2x3x8xf32>
  // CHECK: tpc.reshard %[[E]]
  // CHECK-NOT: tpc.reshard
  %s = tpc.add %e, %t : (tensor<2x3x8xf32>, tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  // CHECK: tpc.matmul {{.*}} -> tensor<2x3x101xf32, #tpc.sharding<@mesh, [{}, {}, {"tp"}]>>
  %y = tpc.matmul %s, %table "b s e, v e -> b s v" : (tensor<2x3x8xf32>, tensor<101x8xf32>) -> tensor<2x3x101xf32>
  // CHECK-NEXT: return
  return %y : tensor<2x3x101xf32>
}

// "dp" splits the batch of every argument and never a weight.
//--- data.mlir
tpc.mesh @mesh <"dp" = 2, "tp" = 2>
// CHECK-DAG: tpc.parameter @up : tensor<8x16xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
// CHECK-DAG: tpc.parameter @down : tensor<16x8xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>>
tpc.parameter @up : tensor<8x16xf32>
tpc.parameter @down : tensor<16x8xf32>
// CHECK-LABEL: func.func @main
// CHECK-SAME: tensor<6x8xf32, #tpc.sharding<@mesh, [{"dp"}, {}]>>) -> tensor<6x8xf32, #tpc.sharding<@mesh, [{"dp"}, {}]>>
func.func @main(%x: tensor<6x8xf32>) -> tensor<6x8xf32> {
  %up = tpc.read @up : tensor<8x16xf32>
  %down = tpc.read @down : tensor<16x8xf32>
  // CHECK: tpc.matmul {{.*}} -> tensor<6x16xf32, #tpc.sharding<@mesh, [{"dp"}, {"tp"}]>>
  %h = tpc.matmul %x, %up "b e, e f -> b f" : (tensor<6x8xf32>, tensor<8x16xf32>) -> tensor<6x16xf32>
  // CHECK-NEXT: tpc.matmul {{.*}} -> tensor<6x8xf32, #tpc.sharding<@mesh, [{"dp"}, {}], sum {"tp"}>>
  %y = tpc.matmul %h, %down "b f, f e -> b e" : (tensor<6x16xf32>, tensor<16x8xf32>) -> tensor<6x8xf32>
  // CHECK-NEXT: tpc.reshard {{.*}} -> tensor<6x8xf32, #tpc.sharding<@mesh, [{"dp"}, {}]>>
  // CHECK-NEXT: return
  return %y : tensor<6x8xf32>
}

// Experts that come out even are split as a whole: the sum over the scores is
// before the reduction.
//--- experts.mlir
tpc.mesh @mesh <"tp" = 4>
// CHECK-DAG: tpc.parameter @gate : tensor<8x16x20xf32, #tpc.sharding<@mesh, [{"tp"}, {}, {}]>>
// CHECK-DAG: tpc.parameter @up : tensor<8x16x20xf32, #tpc.sharding<@mesh, [{"tp"}, {}, {}]>>
// CHECK-DAG: tpc.parameter @down : tensor<8x20x16xf32, #tpc.sharding<@mesh, [{"tp"}, {}, {}]>>
tpc.parameter @gate : tensor<8x16x20xf32>
tpc.parameter @up : tensor<8x16x20xf32>
tpc.parameter @down : tensor<8x20x16xf32>
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<5x16xf32>, %i: tensor<5x2xi64>, %s: tensor<5x2xf32>) -> tensor<5x16xf32> {
  %g = tpc.read @gate : tensor<8x16x20xf32>
  %u = tpc.read @up : tensor<8x16x20xf32>
  %d = tpc.read @down : tensor<8x20x16xf32>
  // CHECK-NOT: tpc.reshard
  // CHECK: %[[Y:.*]] = tpc.experts {{.*}} -> tensor<5x16xf32, #tpc.sharding<@mesh, [{}, {}], sum {"tp"}>>
  %y = tpc.experts %x, %i, %s, %g, %u, %d : (tensor<5x16xf32>, tensor<5x2xi64>, tensor<5x2xf32>, tensor<8x16x20xf32>, tensor<8x16x20xf32>, tensor<8x20x16xf32>) -> tensor<5x16xf32>
  // CHECK: %[[R:.*]] = tpc.reshard %[[Y]]
  // CHECK-NEXT: return %[[R]]
  return %y : tensor<5x16xf32>
}

// Others are split inside, gate and up by columns, down by rows.
//--- experts-inside.mlir
tpc.mesh @mesh <"tp" = 4>
// CHECK-DAG: tpc.parameter @gate : tensor<6x16x20xf32, #tpc.sharding<@mesh, [{}, {}, {"tp"}]>>
// CHECK-DAG: tpc.parameter @up : tensor<6x16x20xf32, #tpc.sharding<@mesh, [{}, {}, {"tp"}]>>
// CHECK-DAG: tpc.parameter @down : tensor<6x20x16xf32, #tpc.sharding<@mesh, [{}, {"tp"}, {}]>>
tpc.parameter @gate : tensor<6x16x20xf32>
tpc.parameter @up : tensor<6x16x20xf32>
tpc.parameter @down : tensor<6x20x16xf32>
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<5x16xf32>, %i: tensor<5x2xi64>, %s: tensor<5x2xf32>) -> tensor<5x16xf32> {
  %g = tpc.read @gate : tensor<6x16x20xf32>
  %u = tpc.read @up : tensor<6x16x20xf32>
  %d = tpc.read @down : tensor<6x20x16xf32>
  // CHECK-NOT: tpc.reshard
  // CHECK: %[[Y:.*]] = tpc.experts {{.*}} -> tensor<5x16xf32, #tpc.sharding<@mesh, [{}, {}], sum {"tp"}>>
  %y = tpc.experts %x, %i, %s, %g, %u, %d : (tensor<5x16xf32>, tensor<5x2xi64>, tensor<5x2xf32>, tensor<6x16x20xf32>, tensor<6x16x20xf32>, tensor<6x20x16xf32>) -> tensor<5x16xf32>
  // CHECK: %[[R:.*]] = tpc.reshard %[[Y]]
  // CHECK-NEXT: return %[[R]]
  return %y : tensor<5x16xf32>
}

// A state that is written before anything reads it is kept as it is made.
//--- kept.mlir
tpc.mesh @mesh <"tp" = 4>
// CHECK-DAG: tpc.parameter @k : tensor<16x8xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
// CHECK-DAG: tpc.state @keys : tensor<2x8xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
tpc.parameter @k : tensor<16x8xf32>
tpc.state @keys : tensor<2x8xf32>
// CHECK-NOT: tpc.reshard
func.func @prefill(%x: tensor<2x16xf32>) {
  %k = tpc.read @k : tensor<16x8xf32>
  %0 = tpc.matmul %x, %k "b e, e f -> b f" : (tensor<2x16xf32>, tensor<16x8xf32>) -> tensor<2x8xf32>
  tpc.write @keys, %0 : tensor<2x8xf32>
  return
}
// CHECK: tpc.read @keys : tensor<2x8xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
func.func @decode() -> tensor<2x8xf32> {
  %0 = tpc.read @keys : tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}
