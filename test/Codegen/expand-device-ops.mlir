// RUN: tpc-opt %s -tpc-expand-device-ops | FileCheck %s

// What depends on the device becomes numbers per device.

tpc.mesh @mesh <"dp" = 2, "tp" = 2>
func.func private @main(%x: tensor<4x5xf32>) -> tensor<4x3xf32>

// CHECK-LABEL: spmd.program @main.spmd
spmd.program @main.spmd of @main(%x: tensor<4x5xf32>) -> tensor<4x3xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  // 5 columns over 2 devices are 3 and 2: padded to 6, cut at 0 and 3.
  // CHECK: %[[PAD:.*]] = tpc.pad %{{.*}} low [0, 0] with 0.000000e+00 {{.*}} -> tensor<4x6xf32>
  // CHECK: plan.device_scalar [0, 3, 0, 3]
  // CHECK: %[[S:.*]] = tpc.dynamic_slice %[[PAD]]
  %s = spmd.slice %x dim 1 over @mesh{"tp"} : (tensor<4x5xf32>) -> tensor<4x3xf32>
  // CHECK: %[[VALID:.*]] = plan.device_scalar [3, 2, 3, 2]
  // CHECK: tpc.iota dim 1
  // CHECK: tpc.broadcast %[[VALID]]
  // CHECK: %[[IN:.*]] = tpc.compare lt
  // CHECK: %[[M:.*]] = tpc.select %[[IN]], %[[S]]
  %m = spmd.mask %s with 0.0 dims [0, 1] of tensor<4x5xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>> : (tensor<4x3xf32>) -> tensor<4x3xf32>
  // CHECK: %[[DP:.*]] = plan.device_scalar [0, 0, 1, 1]
  // CHECK: tpc.compare eq %[[DP]]
  // CHECK: dense<0xFF800000>
  // CHECK: tpc.select
  %p = spmd.to_partial max %m over @mesh{"dp"} : (tensor<4x3xf32>) -> tensor<4x3xf32>
  // CHECK: plan.device_scalar [0, 1, 2, 3]
  %i = spmd.device_index over @mesh{"dp", "tp"} : tensor<i64>
  // CHECK: plan.device_scalar [0, 0, 5, 5]
  %b = spmd.block_start of 10 over @mesh{"dp"} : tensor<i64>
  spmd.return %p : tensor<4x3xf32>
}
