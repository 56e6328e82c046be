// Reshards become collectives, padding is masked where it would be mixed with
// data, positions that are data are shifted to the device's block. Everything
// is proved, and padding that nobody may read is poisoned.
// RUN: tpc-opt %s --tpc-phase-partition --tpc-phase-verify -o %t
// RUN: FileCheck %s < %t
// RUN: tpc-eval %t --entry contraction --form program --poison --input 'dense<[[1., 2., 3., 4., 5.]]> : tensor<1x5xf32>' --input 'dense<[[1.], [1.], [1.], [1.], [2.]]> : tensor<5x1xf32>' | FileCheck %s --check-prefix=CONTRACTION
// RUN: tpc-eval %t --entry maximum --form program --poison --input 'dense<[-1., -2., -3., -4., -5.]> : tensor<5xf32>' | FileCheck %s --check-prefix=MAXIMUM
// RUN: tpc-eval %t --entry lookup --form program --poison --input 'dense<[[1.], [2.], [3.], [4.], [5.]]> : tensor<5x1xf32>' --input 'dense<[4, 0, 2, 9]> : tensor<4xi32>' | FileCheck %s --check-prefix=LOOKUP
// RUN: tpc-eval %t --entry positions --form program --poison | FileCheck %s --check-prefix=POSITIONS
// RUN: tpc-eval %t --entry bias --form program --poison --input 'dense<[[1., 2.]]> : tensor<1x2xf32>' --input 'dense<[[1.], [1.]]> : tensor<2x1xf32>' --input 'dense<10.> : tensor<1xf32>' | FileCheck %s --check-prefix=BIAS

tpc.mesh @mesh <"tp" = 4>

#rep1 = #tpc.sharding<@mesh, [{}]>
#rep2 = #tpc.sharding<@mesh, [{}, {}]>
#rows = #tpc.sharding<@mesh, [{"tp"}, {}]>
#columns = #tpc.sharding<@mesh, [{}, {"tp"}]>
#partial1 = #tpc.sharding<@mesh, [{}], sum {"tp"}>
#partial2 = #tpc.sharding<@mesh, [{}, {}], sum {"tp"}>

// Arguments are loaded with zeros behind them: only the sliced operand, whose
// padding is unspecified, is masked.
// CHECK-LABEL: spmd.program @contraction.spmd
// CHECK-SAME: (%[[X:.*]]: tensor<1x5xf32>, %[[W:.*]]: tensor<2x1xf32>) -> tensor<1x1xf32>
// CHECK-NEXT: %[[S:.*]] = spmd.slice %[[X]] dim 1 over @mesh{"tp"}
// CHECK-NEXT: %[[M:.*]] = spmd.mask %[[S]] with 0.000000e+00 dims [1] of tensor<1x5xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
// CHECK-NEXT: %[[P:.*]] = tpc.matmul %[[M]], %[[W]]
// CHECK-NEXT: spmd.all_reduce sum %[[P]] over @mesh{"tp"} why <"tpc.matmul" to "func.return"
// CONTRACTION: tensor<1x1xf32> {{\[\[}}20]]
func.func @contraction(%x: tensor<1x5xf32, #rep2>, %w: tensor<5x1xf32, #rows>) -> tensor<1x1xf32, #rep2> {
  %0 = tpc.reshard %x : (tensor<1x5xf32, #rep2>) -> tensor<1x5xf32, #columns>
  %1 = tpc.matmul %0, %w "b k, k n -> b n" : (tensor<1x5xf32, #columns>, tensor<5x1xf32, #rows>) -> tensor<1x1xf32, #partial2>
  %2 = tpc.reshard %1 why <"tpc.matmul" to "func.return", <@mesh, [{}, {}], sum {"tp"}> -> <@mesh, [{}, {}]>> : (tensor<1x1xf32, #partial2>) -> tensor<1x1xf32, #rep2>
  return %2 : tensor<1x1xf32, #rep2>
}

// The padding of a maximum is minus infinity, known zeros or not.
// CHECK-LABEL: spmd.program @maximum.spmd
// CHECK: spmd.mask %{{.*}} with 0xFFF0000000000000 dims [0]
// CHECK: spmd.all_reduce max
// MAXIMUM: tensor<f32> -1
func.func @maximum(%x: tensor<5xf32, #tpc.sharding<@mesh, [{"tp"}]>>) -> tensor<f32, #tpc.sharding<@mesh, []>> {
  %0 = tpc.reduce max %x dims [0] : (tensor<5xf32, #tpc.sharding<@mesh, [{"tp"}]>>) -> tensor<f32, #tpc.sharding<@mesh, [], max {"tp"}>>
  %1 = tpc.reshard %0 : (tensor<f32, #tpc.sharding<@mesh, [], max {"tp"}>>) -> tensor<f32, #tpc.sharding<@mesh, []>>
  return %1 : tensor<f32, #tpc.sharding<@mesh, []>>
}

// Row 9 is on no device: zeros, as in the whole function.
// CHECK-LABEL: spmd.program @lookup.spmd
// CHECK-SAME: (%[[T:.*]]: tensor<2x1xf32>, %[[I:.*]]: tensor<4xi32>)
// CHECK: %[[START:.*]] = spmd.block_start of 5 over @mesh{"tp"}
// CHECK: %[[LOCAL:.*]] = tpc.sub %[[I]], %{{.*}}
// CHECK: %[[P:.*]] = tpc.gather %[[T]], %[[LOCAL]] dim 0
// CHECK: spmd.all_reduce sum %[[P]]
// LOOKUP: tensor<4x1xf32> {{\[\[}}5], [1], [3], [0]]
func.func @lookup(%t: tensor<5x1xf32, #rows>, %i: tensor<4xi32, #rep1>) -> tensor<4x1xf32, #rep2> {
  %0 = tpc.gather %t, %i dim 0 : (tensor<5x1xf32, #rows>, tensor<4xi32, #rep1>) -> tensor<4x1xf32, #partial2>
  %1 = tpc.reshard %0 : (tensor<4x1xf32, #partial2>) -> tensor<4x1xf32, #rep2>
  return %1 : tensor<4x1xf32, #rep2>
}

// CHECK-LABEL: spmd.program @positions.spmd
// CHECK: %[[L:.*]] = tpc.iota dim 0 : tensor<2xi64>
// CHECK: spmd.block_start of 5 over @mesh{"tp"}
// CHECK: tpc.add %[[L]],
// POSITIONS: tensor<5xi64> [0, 1, 2, 3, 4]
func.func @positions() -> tensor<5xi64, #tpc.sharding<@mesh, [{"tp"}]>> {
  %0 = tpc.iota dim 0 : tensor<5xi64, #tpc.sharding<@mesh, [{"tp"}]>>
  return %0 : tensor<5xi64, #tpc.sharding<@mesh, [{"tp"}]>>
}

// Attention that is split along its queries stays: its offset, 0 where it has
// none, is moved to the device's block. A narrow offset is widened before, where
// the sum cannot wrap around.
// CHECK-LABEL: func.func @queries
// CHECK: %[[ZERO:.*]] = tpc.constant dense<0> : tensor<i64>
// CHECK: tpc.attention {{.*}} offset %[[ZERO]]
// CHECK: %[[WIDE:.*]] = tpc.convert %{{.*}} : (tensor<1xi32>) -> tensor<1xi64>
// CHECK: tpc.attention {{.*}} offset %[[WIDE]]
// CHECK: tpc.attention {{.*}} lengths %{{[a-z0-9]*}} scale
// CHECK-LABEL: spmd.program @queries.spmd
// CHECK: %[[ZERO:.*]] = tpc.constant dense<0> : tensor<i64>
// CHECK: spmd.block_start of 5 over @mesh{"tp"}
// CHECK: %[[O:.*]] = tpc.add %[[ZERO]],
// CHECK: tpc.attention {{.*}} offset %[[O]] scale 5.000000e-01 causal : (tensor<1x2x1x1x2xf32>
// CHECK: %[[WIDE:.*]] = tpc.convert
// CHECK: spmd.block_start of 5 over @mesh{"tp"}
// CHECK: %[[P:.*]] = tpc.add %[[WIDE]],
// CHECK: tpc.attention {{.*}} offset %[[P]] scale 5.000000e-01 causal window 2
// CHECK-NOT: spmd.block_start
// CHECK: tpc.attention {{.*}} lengths %{{[a-z0-9]*}} scale
// CHECK: spmd.return
#queries = #tpc.sharding<@mesh, [{}, {"tp"}, {}, {}, {}]>
#keys = #tpc.sharding<@mesh, [{}, {}, {}, {}]>
func.func @queries(%q: tensor<1x5x1x1x2xf32, #queries>, %k: tensor<1x6x1x2xf32, #keys>, %n: tensor<1xi32, #rep1>) -> (tensor<1x5x1x1x2xf32, #queries>, tensor<1x5x1x1x2xf32, #queries>, tensor<1x5x1x1x2xf32, #queries>) {
  %0 = tpc.attention %q, %k, %k scale 0.5 causal : (tensor<1x5x1x1x2xf32, #queries>, tensor<1x6x1x2xf32, #keys>, tensor<1x6x1x2xf32, #keys>) -> tensor<1x5x1x1x2xf32, #queries>
  %1 = tpc.attention %q, %k, %k offset %n scale 0.5 causal window 2 : (tensor<1x5x1x1x2xf32, #queries>, tensor<1x6x1x2xf32, #keys>, tensor<1x6x1x2xf32, #keys>, tensor<1xi32, #rep1>) -> tensor<1x5x1x1x2xf32, #queries>
  %2 = tpc.attention %q, %k, %k lengths %n scale 0.5 : (tensor<1x5x1x1x2xf32, #queries>, tensor<1x6x1x2xf32, #keys>, tensor<1x6x1x2xf32, #keys>, tensor<1xi32, #rep1>) -> tensor<1x5x1x1x2xf32, #queries>
  return %0, %1, %2 : tensor<1x5x1x1x2xf32, #queries>, tensor<1x5x1x1x2xf32, #queries>, tensor<1x5x1x1x2xf32, #queries>
}

// CHECK-LABEL: spmd.program @scatter.spmd
// CHECK: spmd.reduce_scatter sum %{{.*}} dim 1 over @mesh{"tp"}
// CHECK-NOT: spmd.all_reduce
// CHECK: spmd.return
func.func @scatter(%x: tensor<4x8xf32, #columns>, %w: tensor<8x8xf32, #rows>) -> tensor<4x8xf32, #columns> {
  %0 = tpc.matmul %x, %w "b k, k n -> b n" : (tensor<4x8xf32, #columns>, tensor<8x8xf32, #rows>) -> tensor<4x8xf32, #partial2>
  %1 = tpc.reshard %0 : (tensor<4x8xf32, #partial2>) -> tensor<4x8xf32, #columns>
  return %1 : tensor<4x8xf32, #columns>
}

// The bias is added on one device only.
// CHECK-LABEL: spmd.program @bias.spmd
// CHECK: %[[B:.*]] = spmd.to_partial sum %{{.*}} over @mesh{"tp"}
// CHECK: tpc.linear %{{.*}}, %{{.*}}, %[[B]]
// BIAS: tensor<1x1xf32> {{\[\[}}13]]
func.func @bias(%x: tensor<1x2xf32, #columns>, %w: tensor<2x1xf32, #rows>, %b: tensor<1xf32, #rep1>) -> tensor<1x1xf32, #rep2> {
  %0 = tpc.reshard %b : (tensor<1xf32, #rep1>) -> tensor<1xf32, #partial1>
  %1 = tpc.linear %x, %w, %0 "b k, k n -> b n" : (tensor<1x2xf32, #columns>, tensor<2x1xf32, #rows>, tensor<1xf32, #partial1>) -> tensor<1x1xf32, #partial2>
  %2 = tpc.reshard %1 : (tensor<1x1xf32, #partial2>) -> tensor<1x1xf32, #rep2>
  return %2 : tensor<1x1xf32, #rep2>
}
