// Gradients become results of the entry; the forward, and other entries, stay as
// they are.
// RUN: tpc-opt %s --tpc-differentiate="entry=main" | FileCheck %s
// RUN: tpc-opt %s --tpc-differentiate="entry=main wrt=x,b" | FileCheck %s --check-prefix=SOME
// RUN: tpc-opt %s --tpc-differentiate="entry=shared" | FileCheck %s --check-prefix=SHARED
// RUN: tpc-opt %s --tpc-differentiate="entry=two output=second" | FileCheck %s --check-prefix=TWO
// RUN: tpc-opt %s --tpc-differentiate="entry=cached" | FileCheck %s --check-prefix=STATE
// RUN: tpc-opt %s --tpc-differentiate="entry=normed" | FileCheck %s --check-prefix=STEP

tpc.parameter @w : tensor<4x2xf32>
tpc.parameter @b : tensor<2xf32>
tpc.parameter @unused : tensor<2xf32>
tpc.parameter @h : tensor<4x4xbf16>
tpc.state @cache : tensor<2xf32>

// CHECK-LABEL: func.func @main(
// CHECK-SAME: -> (tensor<f32> {tpc.name = "loss"}, tensor<4x2xf32> {tpc.like = @w, tpc.name = "grad.w"}, tensor<2xf32> {tpc.like = @b, tpc.name = "grad.b"})
// CHECK: %[[W:.*]] = tpc.read @w
// CHECK: %[[B:.*]] = tpc.read @b
// CHECK: %[[H:.*]] = tpc.linear
// CHECK: %[[LOSS:.*]] = tpc.reduce sum
// CHECK-NEXT: %[[ONE:.*]] = tpc.constant dense<1.0
// CHECK-NEXT: %[[DY:.*]] = tpc.broadcast %[[ONE]] dims []
// The forward's product is not computed again, and nothing is built for x.
// CHECK-NEXT: %[[DB:.*]] = tpc.reduce sum %[[DY]] dims [0]
// CHECK-NEXT: %[[DW:.*]] = tpc.matmul %{{.*}}, %[[DY]] "b k, b n -> k n"
// CHECK-NEXT: return %[[LOSS]], %[[DW]], %[[DB]]

// SOME-LABEL: func.func @main(
// SOME-SAME: tensor<8x4xf32> {tpc.name = "grad.x"}, tensor<2xf32> {tpc.like = @b, tpc.name = "grad.b"})
func.func @main(%x: tensor<8x4xf32> {tpc.name = "x"}) -> (tensor<f32> {tpc.name = "loss"}) {
  %w = tpc.read @w : tensor<4x2xf32>
  %b = tpc.read @b : tensor<2xf32>
  %y = tpc.linear %x, %w, %b "b k, k n -> b n" : (tensor<8x4xf32>, tensor<4x2xf32>, tensor<2xf32>) -> tensor<8x2xf32>
  %loss = tpc.reduce sum %y dims [0, 1] : (tensor<8x2xf32>) -> tensor<f32>
  return %loss : tensor<f32>
}

// A parameter of 16 bits that is used twice, and read twice: its contributions
// are summed in f32 and rounded once.
// SHARED-LABEL: func.func @shared(
// SHARED-SAME: -> (tensor<f32>, tensor<4x4xbf16> {tpc.like = @h, tpc.name = "grad.h"})
// SHARED: %[[LOSS:.*]] = tpc.reduce sum
// SHARED-DAG: %[[A:.*]] = tpc.matmul {{.*}} -> tensor<4x4xf32>
// SHARED-DAG: %[[C:.*]] = tpc.matmul {{.*}} -> tensor<4x4xf32>
// SHARED: %[[SUM:.*]] = tpc.add {{.*}} -> tensor<4x4xf32>
// SHARED-NEXT: %[[DH:.*]] = tpc.convert %[[SUM]] : (tensor<4x4xf32>) -> tensor<4x4xbf16>
// SHARED-NEXT: return %[[LOSS]], %[[DH]]
func.func @shared(%x: tensor<8x4xbf16>) -> tensor<f32> {
  %h0 = tpc.read @h : tensor<4x4xbf16>
  %0 = tpc.matmul %x, %h0 "b k, k n -> b n" : (tensor<8x4xbf16>, tensor<4x4xbf16>) -> tensor<8x4xbf16>
  %h1 = tpc.read @h : tensor<4x4xbf16>
  %1 = tpc.matmul %0, %h1 "b k, k n -> b n" : (tensor<8x4xbf16>, tensor<4x4xbf16>) -> tensor<8x4xbf16>
  %2 = tpc.convert %1 : (tensor<8x4xbf16>) -> tensor<8x4xf32>
  %3 = tpc.reduce sum %2 dims [0, 1] : (tensor<8x4xf32>) -> tensor<f32>
  return %3 : tensor<f32>
}

// Only what the chosen loss depends on gets a gradient.
// TWO-LABEL: func.func @two(
// TWO-SAME: -> (tensor<f32>, tensor<f32> {tpc.name = "second"}, tensor<2xf32> {tpc.like = @b, tpc.name = "grad.b"})
func.func @two() -> (tensor<f32>, tensor<f32> {tpc.name = "second"}) {
  %w = tpc.read @w : tensor<4x2xf32>
  %b = tpc.read @b : tensor<2xf32>
  %0 = tpc.reduce sum %w dims [0, 1] : (tensor<4x2xf32>) -> tensor<f32>
  %1 = tpc.reduce max %b dims [0] : (tensor<2xf32>) -> tensor<f32>
  return %0, %1 : tensor<f32>, tensor<f32>
}

// What a state holds is a constant; writing to it afterwards changes nothing.
// STATE-LABEL: func.func @cached(
// STATE-SAME: -> (tensor<f32>, tensor<2xf32> {tpc.like = @b, tpc.name = "grad.b"})
// STATE: %[[OLD:.*]] = tpc.read @cache
// STATE: tpc.write @cache
// STATE: %[[DB:.*]] = tpc.mul %{{.*}}, %[[OLD]]
// STATE-NEXT: return %{{.*}}, %[[DB]]
func.func @cached() -> tensor<f32> {
  %b = tpc.read @b : tensor<2xf32>
  %old = tpc.read @cache : tensor<2xf32>
  %0 = tpc.mul %b, %old : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  tpc.write @cache, %0 : tensor<2xf32>
  %1 = tpc.reduce sum %0 dims [0] : (tensor<2xf32>) -> tensor<f32>
  return %1 : tensor<f32>
}

// The gradients of a composite that is split as one are one operation; of an
// input none is asked for.
// STEP-LABEL: func.func @normed(
// STEP: %[[DW:.*]] = tpc.vjp "tpc.rms_norm" {epsilon = 1.000000e-05 : f64} of [1] %{{.*}}, %{{.*}}, %{{.*}} : (tensor<3x2xf32>, tensor<2xf32>, tensor<3x2xf32>) -> tensor<2xf32>
// STEP-NEXT: return %{{.*}}, %[[DW]]
func.func @normed(%x: tensor<3x2xf32>) -> tensor<f32> {
  %b = tpc.read @b : tensor<2xf32>
  %0 = tpc.rms_norm %x, %b epsilon 1.0e-5 : (tensor<3x2xf32>, tensor<2xf32>) -> tensor<3x2xf32>
  %1 = tpc.mul %0, %x : (tensor<3x2xf32>, tensor<3x2xf32>) -> tensor<3x2xf32>
  %2 = tpc.reduce sum %1 dims [0, 1] : (tensor<3x2xf32>) -> tensor<f32>
  return %2 : tensor<f32>
}
