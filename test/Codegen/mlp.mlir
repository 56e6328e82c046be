// RUN: tpc-opt %s -tpc-expand-composites -tpc-expand-device-ops -tpc-flatten-collectives -tpc-normalize-matmuls -cse -tpc-form-kernels -tpc-allocate-buffers -tpc-verify-plan | FileCheck %s

// A column/row pair on two devices: two matmuls, one kernel between them, one
// for the bias that only the first device adds, and an all_reduce in place.

// CHECK-LABEL: plan.program @main.plan of @main.spmd
// CHECK: %[[H:.*]] = plan.matmul {{.*}} pack_b at <arena + [[A:.*]]> :
// CHECK: plan.kernel {{.*}} at [<arena + [[A]]>]
// CHECK: plan.device_scalar [0, 1]
// CHECK: plan.matmul {{.*}} pack_b at <arena + [[B:.*]]> :
// CHECK: plan.kernel {{.*}} at [<arena + [[B]]>]
// CHECK-NEXT: %[[Y:.*]] = plan.collective all_reduce sum {{.*}} at <arena + [[B]]>
// CHECK-NEXT: plan.return %[[Y]]

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @up : tensor<16x32xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
tpc.parameter @up_bias : tensor<32xf32, #tpc.sharding<@mesh, [{"tp"}]>>
tpc.parameter @down : tensor<32x16xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>>
tpc.parameter @down_bias : tensor<16xf32, #tpc.sharding<@mesh, [{}]>>

func.func @main(%x: tensor<8x16xf32>) -> tensor<8x16xf32> {
  return %x : tensor<8x16xf32>
}

spmd.program @main.spmd of @main(%x: tensor<8x16xf32>) -> tensor<8x16xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  %up = tpc.read @up : tensor<16x16xf32>
  %up_bias = tpc.read @up_bias : tensor<16xf32>
  %down = tpc.read @down : tensor<16x16xf32>
  %down_bias = tpc.read @down_bias : tensor<16xf32>
  %h = tpc.linear %x, %up, %up_bias "b e, e f -> b f" : (tensor<8x16xf32>, tensor<16x16xf32>, tensor<16xf32>) -> tensor<8x16xf32>
  %a = tpc.gelu erf %h : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %bias = spmd.to_partial sum %down_bias over @mesh{"tp"} : (tensor<16xf32>) -> tensor<16xf32>
  %p = tpc.linear %a, %down, %bias "b f, f e -> b e" : (tensor<8x16xf32>, tensor<16x16xf32>, tensor<16xf32>) -> tensor<8x16xf32>
  %y = spmd.all_reduce sum %p over @mesh{"tp"} : (tensor<8x16xf32>) -> tensor<8x16xf32>
  spmd.return %y : tensor<8x16xf32>
}
