// RUN: tpc-opt %s -tpc-expand-composites -tpc-form-kernels -tpc-allocate-buffers -tpc-verify-plan | FileCheck %s
// RUN: tpc-opt %s -tpc-expand-composites | FileCheck %s --check-prefix=EXPAND

// Attention is one step that reads its operands where they lie.

tpc.mesh @mesh <"tp" = 2>
tpc.state @keys : tensor<2x16x3x4xf32>

// The first rows of a cache are a view of the state, after its update; a value
// with heads before keys is strides. No kernel but the update.
// CHECK-LABEL: plan.program @cache.plan
// CHECK-NOT: plan.kernel
// CHECK: %[[NEW:.*]] = plan.kernel @{{.*}} updates(%{{.*}}) at [<state @keys + 0>]
// CHECK-NOT: plan.kernel
// CHECK: plan.attention %{{.*}} [0, 24, 24, 8, 4], %[[NEW]] [12, 192, 12, 4], %{{.*}} [0, 96, 4, 32] offset %{{.*}} sizes [2, 1, 8, 3, 2, 4, 4]
// CHECK-NOT: plan.kernel
// CHECK: plan.return
func.func private @cache(%q: tensor<2x1x3x2x4xf32>, %k: tensor<2x1x3x4xf32>, %v: tensor<2x3x8x4xf32>, %at: tensor<4xi64>, %o: tensor<2xi64>) -> tensor<2x1x3x2x4xf32>
spmd.program @cache.spmd of @cache(%q: tensor<2x1x3x2x4xf32>, %k: tensor<2x1x3x4xf32>, %v: tensor<2x3x8x4xf32>, %at: tensor<4xi64>, %o: tensor<2xi64>) -> tensor<2x1x3x2x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>]
    results [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>] {
  %old = tpc.read @keys : tensor<2x16x3x4xf32>
  %new = tpc.update_slice %old, %k, %at : (tensor<2x16x3x4xf32>, tensor<2x1x3x4xf32>, tensor<4xi64>) -> tensor<2x16x3x4xf32>
  tpc.write @keys, %new : tensor<2x16x3x4xf32>
  %seen = tpc.slice %new [0, 1, 0, 0] : (tensor<2x16x3x4xf32>) -> tensor<2x8x3x4xf32>
  %vt = tpc.transpose %v [0, 2, 1, 3] : (tensor<2x3x8x4xf32>) -> tensor<2x8x3x4xf32>
  %y = tpc.attention %q, %seen, %vt offset %o scale 0.5 causal : (tensor<2x1x3x2x4xf32>, tensor<2x8x3x4xf32>, tensor<2x8x3x4xf32>, tensor<2xi64>) -> tensor<2x1x3x2x4xf32>
  spmd.return %y : tensor<2x1x3x2x4xf32>
}

// The part of a cache that was there before is read before the update: no copy.
// CHECK-LABEL: plan.program @before.plan
// CHECK: %[[OLD:.*]] = plan.state @keys
// CHECK-NOT: plan.kernel
// CHECK: plan.attention %{{.*}}, %[[OLD]] [0, 192, 12, 4], %[[OLD]] [96, 192, 12, 4]
// CHECK: plan.kernel @{{.*}} updates(%[[OLD]]) at [<state @keys + 0>]
// CHECK-NOT: plan.kernel
// CHECK: plan.return
func.func private @before(%q: tensor<2x1x3x2x4xf32>, %k: tensor<2x1x3x4xf32>, %at: tensor<4xi64>) -> tensor<2x1x3x2x4xf32>
spmd.program @before.spmd of @before(%q: tensor<2x1x3x2x4xf32>, %k: tensor<2x1x3x4xf32>, %at: tensor<4xi64>) -> tensor<2x1x3x2x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}]>]
    results [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>] {
  %old = tpc.read @keys : tensor<2x16x3x4xf32>
  %new = tpc.update_slice %old, %k, %at : (tensor<2x16x3x4xf32>, tensor<2x1x3x4xf32>, tensor<4xi64>) -> tensor<2x16x3x4xf32>
  tpc.write @keys, %new : tensor<2x16x3x4xf32>
  %first = tpc.slice %old [0, 0, 0, 0] : (tensor<2x16x3x4xf32>) -> tensor<2x8x3x4xf32>
  %second = tpc.slice %old [0, 8, 0, 0] : (tensor<2x16x3x4xf32>) -> tensor<2x8x3x4xf32>
  %y = tpc.attention %q, %first, %second scale 0.5 : (tensor<2x1x3x2x4xf32>, tensor<2x8x3x4xf32>, tensor<2x8x3x4xf32>) -> tensor<2x1x3x2x4xf32>
  spmd.return %y : tensor<2x1x3x2x4xf32>
}

// Keys that are not contiguous along their last dimension get a copy. The bias
// is repeated along dimensions of which it has one element, and need not be
// contiguous.
// CHECK-LABEL: plan.program @copy.plan
// CHECK: %[[K:.*]] = plan.kernel @{{.*}}transpose{{.*}} -> tensor<1x8x1x4xf32>
// CHECK-NOT: plan.kernel
// CHECK: plan.attention %{{.*}} [0, 32, 4, 4, 4], %[[K]] [0, 32, 4, 4], %{{.*}} [0, 32, 4, 4] bias %{{.*}} [0, 0, 0, 0, 1, 8] lengths %{{.*}} sizes [1, 8, 8, 1, 1, 4, 4]
// CHECK-NOT: plan.kernel
// CHECK: plan.return
func.func private @copy(%q: tensor<1x8x1x1x4xf32>, %k: tensor<1x4x1x8xf32>, %v: tensor<1x8x1x4xf32>, %b: tensor<1x1x1x8x8xf32>, %n: tensor<1xi64>) -> tensor<1x8x1x1x4xf32>
spmd.program @copy.spmd of @copy(%q: tensor<1x8x1x1x4xf32>, %k: tensor<1x4x1x8xf32>, %v: tensor<1x8x1x4xf32>, %b: tensor<1x1x1x8x8xf32>, %n: tensor<1xi64>) -> tensor<1x8x1x1x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}]>]
    results [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>] {
  %kt = tpc.transpose %k [0, 3, 2, 1] : (tensor<1x4x1x8xf32>) -> tensor<1x8x1x4xf32>
  %bt = tpc.transpose %b [0, 1, 2, 4, 3] : (tensor<1x1x1x8x8xf32>) -> tensor<1x1x1x8x8xf32>
  %y = tpc.attention %q, %kt, %v bias %bt lengths %n scale 0.5 : (tensor<1x8x1x1x4xf32>, tensor<1x8x1x4xf32>, tensor<1x8x1x4xf32>, tensor<1x1x1x8x8xf32>, tensor<1xi64>) -> tensor<1x8x1x1x4xf32>
  spmd.return %y : tensor<1x8x1x1x4xf32>
}

// Operands of several element types are expanded.
// EXPAND-LABEL: spmd.program @mixed.spmd
// EXPAND-NOT: tpc.attention
// EXPAND: tpc.matmul
// EXPAND-NOT: tpc.attention
// EXPAND: spmd.return
func.func private @mixed(%q: tensor<1x8x1x1x4xf32>, %k: tensor<1x8x1x4xbf16>) -> tensor<1x8x1x1x4xf32>
spmd.program @mixed.spmd of @mixed(%q: tensor<1x8x1x1x4xf32>, %k: tensor<1x8x1x4xbf16>) -> tensor<1x8x1x1x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}]>]
    results [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>] {
  %y = tpc.attention %q, %k, %k scale 0.5 : (tensor<1x8x1x1x4xf32>, tensor<1x8x1x4xbf16>, tensor<1x8x1x4xbf16>) -> tensor<1x8x1x1x4xf32>
  spmd.return %y : tensor<1x8x1x1x4xf32>
}
