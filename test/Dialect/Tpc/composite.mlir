// Every composite with every optional part survives printing and parsing.
// RUN: tpc-opt %s | tpc-opt | FileCheck %s
// RUN: tpc-opt %s --mlir-print-op-generic | tpc-opt | FileCheck %s

// CHECK-LABEL: func.func @simple
func.func @simple(%x: tensor<2x4xbf16>, %v: tensor<4xbf16>, %w: tensor<4x3x5xbf16>,
                  %b: tensor<3x5xbf16>, %t: tensor<2xi32>,
                  %f: tensor<2xf32>) {
  // CHECK: tpc.softmax %{{.*}} : (tensor<2x4xbf16>) -> tensor<2x4xbf16>
  %0 = tpc.softmax %x : (tensor<2x4xbf16>) -> tensor<2x4xbf16>
  // CHECK: tpc.layer_norm %{{.*}}, %{{.*}}, %{{.*}} epsilon 1.000000e-05 : (tensor<2x4xbf16>, tensor<4xbf16>, tensor<4xbf16>) -> tensor<2x4xbf16>
  %1 = tpc.layer_norm %x, %v, %v epsilon 1.0e-5 : (tensor<2x4xbf16>, tensor<4xbf16>, tensor<4xbf16>) -> tensor<2x4xbf16>
  // CHECK: tpc.gelu erf %{{.*}} : (tensor<2x4xbf16>) -> tensor<2x4xbf16>
  %2 = tpc.gelu erf %x : (tensor<2x4xbf16>) -> tensor<2x4xbf16>
  // CHECK: tpc.gelu tanh
  %3 = tpc.gelu tanh %x : (tensor<2x4xbf16>) -> tensor<2x4xbf16>
  // CHECK: tpc.linear %{{.*}}, %{{.*}}, %{{.*}} "b e, e h d -> b h d" : (tensor<2x4xbf16>, tensor<4x3x5xbf16>, tensor<3x5xbf16>) -> tensor<2x3x5xbf16>
  %4 = tpc.linear %x, %w, %b "b e, e h d -> b h d" : (tensor<2x4xbf16>, tensor<4x3x5xbf16>, tensor<3x5xbf16>) -> tensor<2x3x5xbf16>
  // CHECK: tpc.embedding %{{.*}}, %{{.*}} : (tensor<2x4xbf16>, tensor<2xi32>) -> tensor<2x4xbf16>
  %5 = tpc.embedding %x, %t : (tensor<2x4xbf16>, tensor<2xi32>) -> tensor<2x4xbf16>
  // CHECK: tpc.rms_norm %{{.*}}, %{{.*}} epsilon 1.000000e-05 : (tensor<2x4xbf16>, tensor<4xbf16>) -> tensor<2x4xbf16>
  %6 = tpc.rms_norm %x, %v epsilon 1.0e-5 : (tensor<2x4xbf16>, tensor<4xbf16>) -> tensor<2x4xbf16>
  // CHECK: tpc.silu %{{.*}} : (tensor<2x4xbf16>) -> tensor<2x4xbf16>
  %7 = tpc.silu %x : (tensor<2x4xbf16>) -> tensor<2x4xbf16>
  // CHECK: tpc.rope halves %{{.*}}, %{{.*}}, %{{.*}} scale 1.000000e+00 : (tensor<2x4xbf16>, tensor<2xi32>, tensor<2xf32>) -> tensor<2x4xbf16>
  %8 = tpc.rope halves %x, %t, %f scale 1.0 : (tensor<2x4xbf16>, tensor<2xi32>, tensor<2xf32>) -> tensor<2x4xbf16>
  // CHECK: tpc.rope pairs %{{.*}}, %{{.*}}, %{{.*}} scale 1.250000e+00
  %9 = tpc.rope pairs %x, %t, %f scale 1.25 : (tensor<2x4xbf16>, tensor<2xi32>, tensor<2xf32>) -> tensor<2x4xbf16>
  // CHECK: tpc.cross_entropy %{{.*}}, %{{.*}} : (tensor<2x4xbf16>, tensor<2xi32>) -> tensor<2xf32>
  %10 = tpc.cross_entropy %x, %t : (tensor<2x4xbf16>, tensor<2xi32>) -> tensor<2xf32>
  return
}

// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<2x3x2x4x8xf32>, %k: tensor<2x5x2x8xf32>,
                     %v: tensor<2x5x2x6xf32>, %bias: tensor<1x2x4x3x5xf32>,
                     %lengths: tensor<2xi32>, %offset: tensor<i64>,
                     %sinks: tensor<2x4xf32>, %offsets: tensor<2xi64>) {
  // CHECK: tpc.attention %{{.*}}, %{{.*}}, %{{.*}} scale 1.250000e-01 : (
  %0 = tpc.attention %q, %k, %v scale 0.125 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>) -> tensor<2x3x2x4x6xf32>
  // CHECK: tpc.attention %{{.*}}, %{{.*}}, %{{.*}} lengths %{{.*}} scale 1.250000e-01 : (
  %1 = tpc.attention %q, %k, %v lengths %lengths scale 0.125 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>, tensor<2xi32>) -> tensor<2x3x2x4x6xf32>
  // CHECK: tpc.attention %{{.*}}, %{{.*}}, %{{.*}} offset %{{.*}} scale 1.250000e-01 causal : (
  %2 = tpc.attention %q, %k, %v offset %offset scale 0.125 causal : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>, tensor<i64>) -> tensor<2x3x2x4x6xf32>
  // CHECK: tpc.attention %{{.*}}, %{{.*}}, %{{.*}} bias %{{.*}} lengths %{{.*}} offset %{{.*}} sinks %{{.*}} scale 1.250000e-01 causal window 3 softcap 5.000000e+01 :
  %3 = tpc.attention %q, %k, %v bias %bias lengths %lengths offset %offset sinks %sinks scale 0.125 causal window 3 softcap 50.0 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>, tensor<1x2x4x3x5xf32>, tensor<2xi32>, tensor<i64>, tensor<2x4xf32>) -> tensor<2x3x2x4x6xf32>
  // CHECK: tpc.attention %{{.*}}, %{{.*}}, %{{.*}} offset %{{.*}} scale 1.250000e-01 window 4 : ({{.*}}, tensor<2xi64>)
  %4 = tpc.attention %q, %k, %v offset %offsets scale 0.125 window 4 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>, tensor<2xi64>) -> tensor<2x3x2x4x6xf32>
  return
}

// CHECK-LABEL: func.func @experts
func.func @experts(%x: tensor<2x3x8xf32>, %i: tensor<2x3x2xi64>, %s: tensor<2x3x2xf32>,
                   %up: tensor<4x8x6xf32>, %down: tensor<4x6x8xf32>) {
  // CHECK: tpc.grouped_matmul %{{.*}}, %{{.*}}, %{{.*}} : (tensor<2x3x8xf32>, tensor<2x3x2xi64>, tensor<4x8x6xf32>) -> tensor<2x3x2x6xf32>
  %0 = tpc.grouped_matmul %x, %i, %up : (tensor<2x3x8xf32>, tensor<2x3x2xi64>, tensor<4x8x6xf32>) -> tensor<2x3x2x6xf32>
  // CHECK: tpc.grouped_matmul %{{.*}}, %{{.*}}, %{{.*}} : (tensor<2x3x2x6xf32>, tensor<2x3x2xi64>, tensor<4x6x8xf32>) -> tensor<2x3x2x8xf32>
  %1 = tpc.grouped_matmul %0, %i, %down : (tensor<2x3x2x6xf32>, tensor<2x3x2xi64>, tensor<4x6x8xf32>) -> tensor<2x3x2x8xf32>
  // CHECK: tpc.experts %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : (tensor<2x3x8xf32>, tensor<2x3x2xi64>, tensor<2x3x2xf32>, tensor<4x8x6xf32>, tensor<4x8x6xf32>, tensor<4x6x8xf32>) -> tensor<2x3x8xf32>
  %2 = tpc.experts %x, %i, %s, %up, %up, %down : (tensor<2x3x8xf32>, tensor<2x3x2xi64>, tensor<2x3x2xf32>, tensor<4x8x6xf32>, tensor<4x8x6xf32>, tensor<4x6x8xf32>) -> tensor<2x3x8xf32>
  return
}
