// RUN: tpc-opt %s -tpc-expand-composites -tpc-form-kernels -tpc-allocate-buffers -tpc-verify-plan | FileCheck %s

// Experts become three grouped products with parameters that may be packed; a
// transposed weight is strides.

tpc.mesh @mesh <"tp" = 1>
tpc.parameter @gate : tensor<3x8x6xf32>
tpc.parameter @up   : tensor<3x6x8xf32>
tpc.parameter @down : tensor<3x6x8xf32>

// CHECK-LABEL: plan.program @main.plan
// CHECK-DAG: %[[GATE:.*]] = plan.parameter @gate
// CHECK-DAG: %[[UP:.*]] = plan.parameter @up
// CHECK-DAG: %[[DOWN:.*]] = plan.parameter @down
// CHECK-DAG: %[[G:.*]] = plan.grouped_matmul %[[X:.*]], %[[I:.*]], %[[GATE]] [0, 48, 6, 1] sizes [10, 2, 3, 8, 6] pack
// CHECK-DAG: %[[U:.*]] = plan.grouped_matmul %[[X]], %[[I]], %[[UP]] [0, 48, 1, 8] sizes [10, 2, 3, 8, 6] pack
// CHECK: %[[H:.*]] = plan.kernel @{{.*}}(%{{.*}}, %{{.*}})
// CHECK: %[[Y:.*]] = plan.grouped_matmul %[[H]], %[[I]], %[[DOWN]] [0, 48, 8, 1] sizes [10, 2, 3, 6, 8] pack
// CHECK: plan.matmul %{{.*}}, %[[Y]]
// CHECK: plan.return
func.func private @main(%x: tensor<2x5x8xf32>, %i: tensor<2x5x2xi64>, %s: tensor<2x5x2xf32>) -> tensor<2x5x8xf32>
spmd.program @main.spmd of @main(%x: tensor<2x5x8xf32>, %i: tensor<2x5x2xi64>, %s: tensor<2x5x2xf32>) -> tensor<2x5x8xf32>
    args [#tpc.sharding<@mesh, [{}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}]>]
    results [#tpc.sharding<@mesh, [{}, {}, {}]>] {
  %gate = tpc.read @gate : tensor<3x8x6xf32>
  %stored = tpc.read @up : tensor<3x6x8xf32>
  %up = tpc.transpose %stored [0, 2, 1] : (tensor<3x6x8xf32>) -> tensor<3x8x6xf32>
  %down = tpc.read @down : tensor<3x6x8xf32>
  %y = tpc.experts %x, %i, %s, %gate, %up, %down : (tensor<2x5x8xf32>, tensor<2x5x2xi64>, tensor<2x5x2xf32>, tensor<3x8x6xf32>, tensor<3x8x6xf32>, tensor<3x6x8xf32>) -> tensor<2x5x8xf32>
  spmd.return %y : tensor<2x5x8xf32>
}
