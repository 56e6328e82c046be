// RUN: tpc-opt %s -tpc-form-kernels -tpc-allocate-buffers -tpc-verify-plan | FileCheck %s

tpc.mesh @mesh <"tp" = 2>
tpc.state @cache : tensor<8x4xf32>

// exp works in place of the product, which dies; the collective too. The input
// keeps its own bytes.
// CHECK-LABEL: plan.program @chain.plan of @chain.spmd arena 768
// CHECK: plan.matmul {{.*}} at <arena + [[P:.*]]> :
// CHECK: plan.kernel {{.*}} at [<arena + [[P]]>]
// CHECK: plan.collective {{.*}} at <arena + [[P]]>
// CHECK: %[[Q:.*]] = plan.matmul
// CHECK-NEXT: plan.return %[[Q]]
func.func private @chain(%x: tensor<8x8xf32>) -> tensor<8x8xf32>
spmd.program @chain.spmd of @chain(%x: tensor<8x8xf32>) -> tensor<8x8xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  %p = tpc.matmul %x, %x "a b, b c -> a c" : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  %e = tpc.exp %p : (tensor<8x8xf32>) -> tensor<8x8xf32>
  %r = spmd.all_reduce sum %e over @mesh{"tp"} : (tensor<8x8xf32>) -> tensor<8x8xf32>
  %q = tpc.matmul %r, %x "a b, b c -> a c" : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  spmd.return %q : tensor<8x8xf32>
}

// Until an output is made, its bytes are those of what dies before.
// CHECK-LABEL: plan.program @late.plan of @late.spmd arena 576
// CHECK: plan.matmul {{.*}} at <arena + [[P:.*]]> :
// CHECK: %[[Q:.*]] = plan.kernel {{.*}} at [<arena + [[P]]>] : (tensor<8xf32>)
// CHECK-NEXT: plan.return %[[Q]]
func.func private @late(%x: tensor<8x8xf32>) -> tensor<8x8xf32>
spmd.program @late.spmd of @late(%x: tensor<8x8xf32>) -> tensor<8x8xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  %p = tpc.matmul %x, %x "a b, b c -> a c" : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  %s = tpc.reduce sum %p dims [0] : (tensor<8x8xf32>) -> tensor<8xf32>
  %r = spmd.all_reduce sum %s over @mesh{"tp"} : (tensor<8xf32>) -> tensor<8xf32>
  %q = tpc.broadcast %r dims [1] : (tensor<8xf32>) -> tensor<8x8xf32>
  spmd.return %q : tensor<8x8xf32>
}

// The state is updated where it lies.
// CHECK-LABEL: plan.program @update.plan
// CHECK: %[[OLD:.*]] = plan.state @cache
// CHECK: %[[NEW:.*]] = plan.kernel {{.*}} updates(%[[OLD]]) at [<state @cache + 0>]
// CHECK: plan.write @cache, %[[NEW]]
func.func private @update(%x: tensor<1x4xf32>, %at: tensor<2xi64>)
spmd.program @update.spmd of @update(%x: tensor<1x4xf32>, %at: tensor<2xi64>)
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}]>] results [] {
  %old = tpc.read @cache : tensor<8x4xf32>
  %new = tpc.update_slice %old, %x, %at : (tensor<8x4xf32>, tensor<1x4xf32>, tensor<2xi64>) -> tensor<8x4xf32>
  tpc.write @cache, %new : tensor<8x4xf32>
  spmd.return
}

// An input cannot be updated, and the old value is still an output: copies.
// CHECK-LABEL: plan.program @copies.plan
// CHECK: %[[X:.*]] = plan.input 0
// CHECK: %[[C:.*]] = plan.kernel @copy_0(%[[X]])
// CHECK: plan.kernel {{.*}} updates(%[[C]])
func.func private @copies(%x: tensor<8x4xf32>, %u: tensor<1x4xf32>, %at: tensor<2xi64>) -> tensor<8x4xf32>
spmd.program @copies.spmd of @copies(%x: tensor<8x4xf32>, %u: tensor<1x4xf32>, %at: tensor<2xi64>) -> tensor<8x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  %y = tpc.update_slice %x, %u, %at : (tensor<8x4xf32>, tensor<1x4xf32>, tensor<2xi64>) -> tensor<8x4xf32>
  spmd.return %y : tensor<8x4xf32>
}
