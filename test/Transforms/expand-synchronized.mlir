// Composites that are split where devices must agree become their
// decompositions, with the reductions inside as reshards; others stay.
// RUN: tpc-opt %s --tpc-assign-sharding=mode=propagate --tpc-expand-synchronized --tpc-verify-assigned | FileCheck %s
// RUN: tpc-opt %s --tpc-phase-assign=mode=propagate --tpc-phase-partition --tpc-phase-verify -o %t
// RUN: tpc-eval %t --entry softmax --input 'dense<[[0., 1., 2.], [1., 1., 1.]]> : tensor<2x3xf32>' | FileCheck %s --check-prefix=SOFTMAX
// RUN: tpc-eval %t --entry softmax --form program --poison --input 'dense<[[0., 1., 2.], [1., 1., 1.]]> : tensor<2x3xf32>' | FileCheck %s --check-prefix=SOFTMAX
// RUN: tpc-eval %t --entry layer_norm --input 'dense<[[0., 1., 5.], [1., 1., 4.]]> : tensor<2x3xf32>' --input 'dense<[1., 2., 4.]> : tensor<3xf32>' --input 'dense<[0., 0., 1.]> : tensor<3xf32>' | FileCheck %s --check-prefix=NORM
// RUN: tpc-eval %t --entry layer_norm --form program --poison --input 'dense<[[0., 1., 5.], [1., 1., 4.]]> : tensor<2x3xf32>' --input 'dense<[1., 2., 4.]> : tensor<3xf32>' --input 'dense<[0., 0., 1.]> : tensor<3xf32>' | FileCheck %s --check-prefix=NORM

tpc.mesh @mesh <"tp" = 2>

// exp([0, 1, 2]) / 11.107
// SOFTMAX: {{\[\[}}0.0900{{[0-9]*}}, 0.2447{{[0-9]*}}, 0.6652{{[0-9]*}}], [0.3333{{[0-9]*}}, 0.3333{{[0-9]*}}, 0.3333{{[0-9]*}}]]

// CHECK-LABEL: func.func @softmax
// CHECK-NOT: = tpc.softmax
// CHECK: %[[MAX:.*]] = tpc.reduce max {{.*}} -> tensor<2xf32, #tpc.sharding<@mesh, [{}], max {"tp"}>>
// CHECK: tpc.reshard %[[MAX]] {{.*}} -> tensor<2xf32, #tpc.sharding<@mesh, [{}]>>
// CHECK: %[[SUM:.*]] = tpc.reduce sum {{.*}} -> tensor<2xf32, #tpc.sharding<@mesh, [{}], sum {"tp"}>>
// CHECK: tpc.reshard %[[SUM]] {{.*}} -> tensor<2xf32, #tpc.sharding<@mesh, [{}]>>
// CHECK-NOT: tpc.reshard
// CHECK: return {{.*}} : tensor<2x3xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
func.func @softmax(%x: tensor<2x3xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>})
    -> (tensor<2x3xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}) {
  %0 = tpc.softmax %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %1 = tpc.shard %0 <@mesh, [{}, {"tp"}]> : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// Mean 2, variance 14/3; mean 2, variance 2.
// NORM: {{\[\[}}-0.925{{[0-9]*}}, -0.925{{[0-9]*}}, 6.55{{[0-9]*}}], [-0.707{{[0-9]*}}, -1.41{{[0-9]*}}, 6.65{{[0-9]*}}]]

// CHECK-LABEL: func.func @layer_norm
// CHECK-NOT: = tpc.layer_norm
// CHECK: tpc.reduce sum {{.*}} sum {"tp"}>>
// CHECK: tpc.reduce sum {{.*}} sum {"tp"}>>
// CHECK: return
func.func @layer_norm(%x: tensor<2x3xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}, %g: tensor<3xf32>, %b: tensor<3xf32>)
    -> (tensor<2x3xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}) {
  %0 = tpc.layer_norm %x, %g, %b epsilon 0.0 : (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// Equal blocks exchange one summary: maximum, sum of exponentials and label's
// logit of each.
// CHECK-LABEL: func.func @cross_entropy
// CHECK-NOT: = tpc.cross_entropy
// CHECK-NOT: tpc.reshard
// CHECK: %[[SUMMARY:.*]] = tpc.concat {{.*}} -> tensor<2x2x3xf32, #tpc.sharding<@mesh, [{}, {"tp"}, {}]>>
// CHECK: tpc.reshard %[[SUMMARY]] {{.*}} -> tensor<2x2x3xf32, #tpc.sharding<@mesh, [{}, {}, {}]>>
// CHECK-NOT: tpc.reshard
// CHECK: return {{.*}} : tensor<2xf32, #tpc.sharding<@mesh, [{}]>>
func.func @cross_entropy(%x: tensor<2x4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}, %l: tensor<2xi64>) -> tensor<2xf32> {
  %0 = tpc.cross_entropy %x, %l : (tensor<2x4xf32>, tensor<2xi64>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// CHECK-LABEL: func.func @softmax_of_equal_blocks
// CHECK-NOT: tpc.reshard
// CHECK: tpc.reshard {{.*}} -> tensor<2x2x2xf32, #tpc.sharding<@mesh, [{}, {}, {}]>>
// CHECK-NOT: tpc.reshard
// CHECK: return {{.*}} : tensor<2x4xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
func.func @softmax_of_equal_blocks(%x: tensor<2x4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>})
    -> (tensor<2x4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}) {
  %0 = tpc.softmax %x : (tensor<2x4xf32>) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// Split along rows there is nothing to agree on.
// CHECK-LABEL: func.func @rows
// CHECK: tpc.softmax {{.*}} -> tensor<4x3xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>>
func.func @rows(%x: tensor<4x3xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}, {}]>}) -> tensor<4x3xf32> {
  %0 = tpc.softmax %x : (tensor<4x3xf32>) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}
