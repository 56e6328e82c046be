// Every operation of per-device programs survives printing and parsing.
// RUN: tpc-opt %s | tpc-opt | FileCheck %s
// RUN: tpc-opt %s --mlir-print-op-generic | tpc-opt | FileCheck %s

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
tpc.parameter @w : tensor<10x6xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>>
tpc.state @cache : tensor<8x6xf32, #tpc.sharding<@mesh, [{"dp"}, {}]>>

func.func @main(%x: tensor<8x6xf32>, %i: tensor<i32>) -> (tensor<8x6xf32>, tensor<i32>) {
  return %x, %i : tensor<8x6xf32>, tensor<i32>
}

// CHECK: spmd.program @main.spmd of @main(%{{.*}}: tensor<4x6xf32>, %{{.*}}: tensor<i32>) -> (tensor<4x6xf32>, tensor<i32>)
// CHECK-SAME: args [#tpc.sharding<@mesh, [{"dp"}, {}]>, #tpc.sharding<@mesh, []>]
// CHECK-SAME: results [#tpc.sharding<@mesh, [{"dp"}, {}]>, #tpc.sharding<@mesh, []>] {
spmd.program @main.spmd of @main(%x: tensor<4x6xf32>, %i: tensor<i32>) -> (tensor<4x6xf32>, tensor<i32>)
    args [#tpc.sharding<@mesh, [{"dp"}, {}]>, #tpc.sharding<@mesh, []>]
    results [#tpc.sharding<@mesh, [{"dp"}, {}]>, #tpc.sharding<@mesh, []>] {
  // CHECK: tpc.read @w : tensor<3x6xf32>
  %w = tpc.read @w : tensor<3x6xf32>
  // CHECK: tpc.read @cache : tensor<4x6xf32>
  %c = tpc.read @cache : tensor<4x6xf32>
  // CHECK: tpc.write @cache, %{{.*}} : tensor<4x6xf32>
  tpc.write @cache, %c : tensor<4x6xf32>
  // CHECK: spmd.all_reduce sum %{{.*}} over @mesh{"tp"} : (tensor<4x6xf32>) -> tensor<4x6xf32>
  %0 = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<4x6xf32>) -> tensor<4x6xf32>
  // CHECK: spmd.all_reduce max %{{.*}} over @mesh{"dp", "tp":(2)2} why <"h" to "softmax", <@mesh, [{}, {}], max {"tp"}> -> <@mesh, [{}, {}]>> : (tensor<4x6xf32>) -> tensor<4x6xf32>
  %1 = spmd.all_reduce max %x over @mesh{"dp", "tp":(2)2} why <"h" to "softmax", <@mesh, [{}, {}], max {"tp"}> -> <@mesh, [{}, {}]>> : (tensor<4x6xf32>) -> tensor<4x6xf32>
  // CHECK: spmd.all_gather %{{.*}} dim 0 over @mesh{"tp"} : (tensor<3x6xf32>) -> tensor<10x6xf32>
  %2 = spmd.all_gather %w dim 0 over @mesh{"tp"} : (tensor<3x6xf32>) -> tensor<10x6xf32>
  // CHECK: spmd.reduce_scatter sum %{{.*}} dim 0 over @mesh{"tp"} : (tensor<10x6xf32>) -> tensor<3x6xf32>
  %3 = spmd.reduce_scatter sum %2 dim 0 over @mesh{"tp"} : (tensor<10x6xf32>) -> tensor<3x6xf32>
  // CHECK: spmd.all_to_all %{{.*}} split 1 concat 0 over @mesh{"tp"} : (tensor<3x6xf32>) -> tensor<10x2xf32>
  %4 = spmd.all_to_all %w split 1 concat 0 over @mesh{"tp"} : (tensor<3x6xf32>) -> tensor<10x2xf32>
  // CHECK: spmd.permute %{{.*}} sources [1, 2, 3, 0] over @mesh{"tp"} : (tensor<3x6xf32>) -> tensor<3x6xf32>
  %5 = spmd.permute %w sources [1, 2, 3, 0] over @mesh{"tp"} : (tensor<3x6xf32>) -> tensor<3x6xf32>
  // CHECK: spmd.device_index over @mesh{"tp", "dp"} : tensor<i64>
  %6 = spmd.device_index over @mesh{"tp", "dp"} : tensor<i64>
  // CHECK: spmd.block_start of 10 over @mesh{"tp"} : tensor<i64>
  %7 = spmd.block_start of 10 over @mesh{"tp"} : tensor<i64>
  // CHECK: spmd.slice %{{.*}} dim 1 over @mesh{"tp"} : (tensor<4x6xf32>) -> tensor<4x2xf32>
  %8 = spmd.slice %x dim 1 over @mesh{"tp"} : (tensor<4x6xf32>) -> tensor<4x2xf32>
  // CHECK: spmd.mask %{{.*}} with 0.000000e+00 dims [0] of tensor<10x6xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>> : (tensor<3x6xf32>) -> tensor<3x6xf32>
  %9 = spmd.mask %w with 0.0 dims [0] of tensor<10x6xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>> : (tensor<3x6xf32>) -> tensor<3x6xf32>
  // CHECK: spmd.to_partial sum %{{.*}} over @mesh{"tp"} : (tensor<4x6xf32>) -> tensor<4x6xf32>
  %10 = spmd.to_partial sum %x over @mesh{"tp"} : (tensor<4x6xf32>) -> tensor<4x6xf32>
  // CHECK: spmd.return %{{.*}}, %{{.*}} : tensor<4x6xf32>, tensor<i32>
  spmd.return %0, %i : tensor<4x6xf32>, tensor<i32>
}

func.func @nothing() { return }
// CHECK: spmd.program @nothing.spmd of @nothing() args [] results [] {
spmd.program @nothing.spmd of @nothing() args [] results [] {
  // CHECK: spmd.return{{$}}
  spmd.return
}
