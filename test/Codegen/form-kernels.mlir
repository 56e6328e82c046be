// RUN: tpc-opt %s -tpc-expand-composites -tpc-expand-device-ops -cse -tpc-form-kernels | FileCheck %s

// The fusion rule.

tpc.mesh @mesh <"tp" = 2>

// Residual and layer norm are one kernel with two outputs; both layers share
// its code. CHECK-LABEL: plan.program @norms.plan
// CHECK: %[[A:.*]]:2 = plan.kernel @[[NORM:[a-z0-9_]+]](
// CHECK-NEXT: plan.matmul
// CHECK-NEXT: plan.kernel @[[NORM]](
// CHECK-NEXT: plan.return
func.func private @norms(%x: tensor<4x64xf32>, %y: tensor<4x64xf32>, %w: tensor<64xf32>, %b: tensor<64xf32>, %m: tensor<64x64xf32>) -> (tensor<4x64xf32>, tensor<4x64xf32>, tensor<4x64xf32>)
spmd.program @norms.spmd of @norms(%x: tensor<4x64xf32>, %y: tensor<4x64xf32>, %w: tensor<64xf32>, %b: tensor<64xf32>, %m: tensor<64x64xf32>) -> (tensor<4x64xf32>, tensor<4x64xf32>, tensor<4x64xf32>)
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}, {}]>]
    results [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>] {
  %s = tpc.add %x, %y : (tensor<4x64xf32>, tensor<4x64xf32>) -> tensor<4x64xf32>
  %n = tpc.layer_norm %s, %w, %b epsilon 1.0e-5 : (tensor<4x64xf32>, tensor<64xf32>, tensor<64xf32>) -> tensor<4x64xf32>
  %p = tpc.matmul %n, %m "b e, e f -> b f" : (tensor<4x64xf32>, tensor<64x64xf32>) -> tensor<4x64xf32>
  %s2 = tpc.add %s, %p : (tensor<4x64xf32>, tensor<4x64xf32>) -> tensor<4x64xf32>
  %n2 = tpc.layer_norm %s2, %w, %b epsilon 1.0e-5 : (tensor<4x64xf32>, tensor<64xf32>, tensor<64xf32>) -> tensor<4x64xf32>
  spmd.return %s, %s2, %n2 : tensor<4x64xf32>, tensor<4x64xf32>, tensor<4x64xf32>
}

// The mask of two softmaxes is computed in each of them, not kept in memory;
// what it is computed from is [4], and stays [4].
// CHECK-LABEL: plan.program @masks.plan
// CHECK: %[[L:.*]] = plan.input 2
// CHECK: plan.kernel @[[SOFTMAX:[a-z0-9_]+]](%[[L]], %{{.*}}) : (tensor<4xi64>, tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
// CHECK-NEXT: plan.kernel @[[SOFTMAX]](%[[L]], %{{.*}}) : (tensor<4xi64>, tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
// CHECK-NEXT: plan.return
func.func private @masks(%x: tensor<4x8x8xf32>, %y: tensor<4x8x8xf32>, %l: tensor<4xi64>) -> (tensor<4x8x8xf32>, tensor<4x8x8xf32>)
spmd.program @masks.spmd of @masks(%x: tensor<4x8x8xf32>, %y: tensor<4x8x8xf32>, %l: tensor<4xi64>) -> (tensor<4x8x8xf32>, tensor<4x8x8xf32>)
    args [#tpc.sharding<@mesh, [{}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}]>, #tpc.sharding<@mesh, [{}]>]
    results [#tpc.sharding<@mesh, [{}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}]>] {
  %i = tpc.iota dim 2 : tensor<4x8x8xi64>
  %b = tpc.broadcast %l dims [0] : (tensor<4xi64>) -> tensor<4x8x8xi64>
  %v = tpc.compare lt %i, %b : (tensor<4x8x8xi64>, tensor<4x8x8xi64>) -> tensor<4x8x8xi1>
  %low = tpc.constant dense<0xFF800000> : tensor<4x8x8xf32> : tensor<4x8x8xf32>
  %mx = tpc.select %v, %x, %low : (tensor<4x8x8xi1>, tensor<4x8x8xf32>, tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
  %sx = tpc.softmax %mx : (tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
  %my = tpc.select %v, %y, %low : (tensor<4x8x8xi1>, tensor<4x8x8xf32>, tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
  %sy = tpc.softmax %my : (tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
  spmd.return %sx, %sy : tensor<4x8x8xf32>, tensor<4x8x8xf32>
}

// x -> exp -> matmul -> add with exp: one group would contain the matmul's
// result and its operand. Two kernels.
// CHECK-LABEL: plan.program @circle.plan
// CHECK: plan.kernel
// CHECK: plan.matmul
// CHECK: plan.kernel
// CHECK: plan.return
func.func private @circle(%x: tensor<8x8xf32>) -> tensor<8x8xf32>
spmd.program @circle.spmd of @circle(%x: tensor<8x8xf32>) -> tensor<8x8xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  %e = tpc.exp %x : (tensor<8x8xf32>) -> tensor<8x8xf32>
  %p = tpc.matmul %e, %x "a b, b c -> a c" : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  %y = tpc.add %e, %p : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  spmd.return %y : tensor<8x8xf32>
}

// Reshapes and contiguous slices are views.
// CHECK-LABEL: plan.program @views.plan
// CHECK: %[[X:.*]] = plan.input 0
// CHECK-NEXT: %[[V:.*]] = plan.view %[[X]] from 16
// CHECK-NEXT: plan.view %[[V]] from 0
// CHECK-NEXT: plan.return
func.func private @views(%x: tensor<4x8xf32>) -> tensor<16xf32>
spmd.program @views.spmd of @views(%x: tensor<4x8xf32>) -> tensor<16xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}]>] {
  %s = tpc.slice %x [2, 0] : (tensor<4x8xf32>) -> tensor<2x8xf32>
  %r = tpc.reshape %s : (tensor<2x8xf32>) -> tensor<16xf32>
  spmd.return %r : tensor<16xf32>
}
