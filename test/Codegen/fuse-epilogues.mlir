// RUN: tpc-opt %s -tpc-fuse-epilogues=minimum-bytes=64 | FileCheck %s
// RUN: tpc-opt %s -tpc-fuse-epilogues | FileCheck %s --check-prefix=SMALL
// RUN: tpc-opt %s -tpc-fuse-epilogues="minimum-bytes=64 device=cuda" | FileCheck %s --check-prefix=CUDA
// RUN: tpc-opt %s -tpc-fuse-epilogues=minimum-bytes=64 -tpc-expand-composites -tpc-normalize-matmuls -cse -tpc-form-kernels -tpc-allocate-buffers -tpc-verify-plan | FileCheck %s --check-prefix=PLAN

// Which products take what follows them. By default these are all too small.
// SMALL-NOT: plan.contract

tpc.mesh @mesh <"tp" = 2>

// cuBLASLt knows no erf, silu or tanh: they are left to a kernel, with the bias.
// CUDA-LABEL: spmd.program @all.spmd
// CUDA-NOT: plan.contract
// CUDA-LABEL: spmd.program @partial.spmd
// CUDA: plan.contract %{{.*}} bias %{{.*}} :

// A bias as a broadcast over both columns, behind a reshape.
// CHECK-LABEL: spmd.program @all.spmd
// CHECK: %[[C:.*]] = plan.contract %{{.*}}, %{{.*}} "b e, e h d -> b h d" bias %{{.*}} activation gelu_erf :
// CHECK-NEXT: %[[Y:.*]] = tpc.reshape %[[C]]
// CHECK-NEXT: spmd.return %[[Y]]
// PLAN-LABEL: plan.program @all.plan
// PLAN: plan.matmul {{.*}} bias %{{.*}} activation gelu_erf at
// PLAN-NEXT: plan.view
// PLAN-NEXT: plan.return
func.func private @all(%x: tensor<4x16xf32>, %w: tensor<16x2x4xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32>
spmd.program @all.spmd of @all(%x: tensor<4x16xf32>, %w: tensor<16x2x4xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}]>, #tpc.sharding<@mesh, [{}]>]
    results [#tpc.sharding<@mesh, [{}, {}]>] {
  %p = tpc.matmul %x, %w "b e, e h d -> b h d" : (tensor<4x16xf32>, tensor<16x2x4xf32>) -> tensor<4x2x4xf32>
  %f = tpc.reshape %p : (tensor<4x2x4xf32>) -> tensor<4x8xf32>
  %bb = tpc.broadcast %b dims [1] : (tensor<8xf32>) -> tensor<4x8xf32>
  %s = tpc.add %bb, %f : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %g = tpc.gelu erf %s : (tensor<4x8xf32>) -> tensor<4x8xf32>
  spmd.return %g : tensor<4x8xf32>
}

// silu without a bias, in bf16.
// CHECK-LABEL: spmd.program @narrow.spmd
// CHECK: plan.contract %{{.*}}, %{{.*}} "b e, e f -> b f" activation silu :
func.func private @narrow(%x: tensor<4x16xbf16>, %w: tensor<16x8xbf16>) -> tensor<4x8xbf16>
spmd.program @narrow.spmd of @narrow(%x: tensor<4x16xbf16>, %w: tensor<16x8xbf16>) -> tensor<4x8xbf16>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>]
    results [#tpc.sharding<@mesh, [{}, {}]>] {
  %p = tpc.matmul %x, %w "b e, e f -> b f" : (tensor<4x16xbf16>, tensor<16x8xbf16>) -> tensor<4x8xbf16>
  %y = tpc.silu %p : (tensor<4x8xbf16>) -> tensor<4x8xbf16>
  spmd.return %y : tensor<4x8xbf16>
}

// linear before another product. A second operand that is no strided matrix is
// transposed, with the rest in place.
// CHECK-LABEL: spmd.program @linear.spmd
// CHECK: %[[H:.*]] = plan.contract %{{.*}}, %{{.*}} "b e, e h d -> b h d" bias %{{.*}} activation tanh :
// CHECK: tpc.matmul %[[H]]
// PLAN-LABEL: plan.program @linear.plan
// PLAN: plan.kernel
// PLAN-NEXT: plan.matmul {{.*}} bias %{{.*}} activation tanh at
// PLAN-NEXT: plan.matmul
func.func private @linear(%x: tensor<4x16xf32>, %w: tensor<2x16x4xf32>, %b: tensor<2x4xf32>, %v: tensor<2x4x8xf32>) -> tensor<4x8xf32>
spmd.program @linear.spmd of @linear(%x: tensor<4x16xf32>, %w: tensor<2x16x4xf32>, %b: tensor<2x4xf32>, %v: tensor<2x4x8xf32>) -> tensor<4x8xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}]>]
    results [#tpc.sharding<@mesh, [{}, {}]>] {
  %t = tpc.transpose %w [1, 0, 2] : (tensor<2x16x4xf32>) -> tensor<16x2x4xf32>
  %h = tpc.linear %x, %t, %b "b e, e h d -> b h d" : (tensor<4x16xf32>, tensor<16x2x4xf32>, tensor<2x4xf32>) -> tensor<4x2x4xf32>
  %a = tpc.tanh %h : (tensor<4x2x4xf32>) -> tensor<4x2x4xf32>
  %y = tpc.matmul %a, %v "b h d, h d e -> b e" : (tensor<4x2x4xf32>, tensor<2x4x8xf32>) -> tensor<4x8xf32>
  spmd.return %y : tensor<4x8xf32>
}

// A sum over devices: the bias, but nothing behind the all_reduce.
// CHECK-LABEL: spmd.program @partial.spmd
// CHECK: %[[P:.*]] = plan.contract %{{.*}} bias %{{.*}} :
// CHECK-NEXT: %[[Q:.*]] = spmd.all_reduce sum %[[P]]
// CHECK-NEXT: tpc.gelu tanh %[[Q]]
func.func private @partial(%x: tensor<4x16xf32>, %w: tensor<16x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32>
spmd.program @partial.spmd of @partial(%x: tensor<4x16xf32>, %w: tensor<16x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}]>]
    results [#tpc.sharding<@mesh, [{}, {}]>] {
  %p = tpc.linear %x, %w, %b "b e, e f -> b f" : (tensor<4x16xf32>, tensor<16x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %q = spmd.all_reduce sum %p over @mesh{"tp"} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %y = tpc.gelu tanh %q : (tensor<4x8xf32>) -> tensor<4x8xf32>
  spmd.return %y : tensor<4x8xf32>
}

// What stays as it is: a kernel reads the result anyway (norm); the product is
// used twice (twice); silu in f32, here times another product (swiglu); types
// differ (wide); columns before rows (turned); a bias of rows (rows).
// CHECK-LABEL: spmd.program @norm.spmd
// CHECK-NOT: plan.contract
func.func private @norm(%x: tensor<4x16xf32>, %w: tensor<16x8xf32>, %b: tensor<8xf32>, %r: tensor<4x8xf32>) -> tensor<4x8xf32>
spmd.program @norm.spmd of @norm(%x: tensor<4x16xf32>, %w: tensor<16x8xf32>, %b: tensor<8xf32>, %r: tensor<4x8xf32>) -> tensor<4x8xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}, {}]>]
    results [#tpc.sharding<@mesh, [{}, {}]>] {
  %p = tpc.linear %x, %w, %b "b e, e f -> b f" : (tensor<4x16xf32>, tensor<16x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %s = tpc.add %p, %r : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %y = tpc.rms_norm %s, %b epsilon 1.0e-5 : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  spmd.return %y : tensor<4x8xf32>
}
func.func private @twice(%x: tensor<4x16xf32>, %w: tensor<16x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
spmd.program @twice.spmd of @twice(%x: tensor<4x16xf32>, %w: tensor<16x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>]
    results [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>] {
  %p = tpc.matmul %x, %w "b e, e f -> b f" : (tensor<4x16xf32>, tensor<16x8xf32>) -> tensor<4x8xf32>
  %y = tpc.tanh %p : (tensor<4x8xf32>) -> tensor<4x8xf32>
  spmd.return %p, %y : tensor<4x8xf32>, tensor<4x8xf32>
}
func.func private @swiglu(%x: tensor<4x16xf32>, %w: tensor<16x8xf32>, %v: tensor<16x8xf32>) -> tensor<4x8xf32>
spmd.program @swiglu.spmd of @swiglu(%x: tensor<4x16xf32>, %w: tensor<16x8xf32>, %v: tensor<16x8xf32>) -> tensor<4x8xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>]
    results [#tpc.sharding<@mesh, [{}, {}]>] {
  %u = tpc.matmul %x, %v "b e, e f -> b f" : (tensor<4x16xf32>, tensor<16x8xf32>) -> tensor<4x8xf32>
  %g = tpc.matmul %x, %w "b e, e f -> b f" : (tensor<4x16xf32>, tensor<16x8xf32>) -> tensor<4x8xf32>
  %s = tpc.silu %g : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %y = tpc.mul %s, %u : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  spmd.return %y : tensor<4x8xf32>
}
func.func private @wide(%x: tensor<4x16xbf16>, %w: tensor<16x8xbf16>) -> tensor<4x8xf32>
spmd.program @wide.spmd of @wide(%x: tensor<4x16xbf16>, %w: tensor<16x8xbf16>) -> tensor<4x8xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>]
    results [#tpc.sharding<@mesh, [{}, {}]>] {
  %p = tpc.matmul %x, %w "b e, e f -> b f" : (tensor<4x16xbf16>, tensor<16x8xbf16>) -> tensor<4x8xf32>
  %y = tpc.tanh %p : (tensor<4x8xf32>) -> tensor<4x8xf32>
  spmd.return %y : tensor<4x8xf32>
}
func.func private @turned(%x: tensor<4x16xf32>, %w: tensor<16x8xf32>) -> tensor<8x4xf32>
spmd.program @turned.spmd of @turned(%x: tensor<4x16xf32>, %w: tensor<16x8xf32>) -> tensor<8x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>]
    results [#tpc.sharding<@mesh, [{}, {}]>] {
  %p = tpc.matmul %x, %w "b e, e f -> f b" : (tensor<4x16xf32>, tensor<16x8xf32>) -> tensor<8x4xf32>
  %y = tpc.tanh %p : (tensor<8x4xf32>) -> tensor<8x4xf32>
  spmd.return %y : tensor<8x4xf32>
}
func.func private @rows(%x: tensor<8x16xf32>, %w: tensor<16x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32>
spmd.program @rows.spmd of @rows(%x: tensor<8x16xf32>, %w: tensor<16x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}]>]
    results [#tpc.sharding<@mesh, [{}, {}]>] {
  %p = tpc.matmul %x, %w "b e, e f -> b f" : (tensor<8x16xf32>, tensor<16x8xf32>) -> tensor<8x8xf32>
  %bb = tpc.broadcast %b dims [0] : (tensor<8xf32>) -> tensor<8x8xf32>
  %y = tpc.add %p, %bb : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  spmd.return %y : tensor<8x8xf32>
}
