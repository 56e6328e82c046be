// Every composite with every optional part survives printing and parsing.
// RUN: tpc-opt %s | tpc-opt | FileCheck %s
// RUN: tpc-opt %s --mlir-print-op-generic | tpc-opt | FileCheck %s

// CHECK-LABEL: func.func @simple
func.func @simple(%x: tensor<2x4xbf16>, %v: tensor<4xbf16>, %w: tensor<4x3x5xbf16>,
                  %b: tensor<3x5xbf16>, %t: tensor<2xi32>) {
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
  return
}

// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<2x3x2x4x8xf32>, %k: tensor<2x5x2x8xf32>,
                     %v: tensor<2x5x2x6xf32>, %bias: tensor<1x2x4x3x5xf32>,
                     %lengths: tensor<2xi32>, %offset: tensor<i64>,
                     %sinks: tensor<2x4xf32>) {
  // CHECK: tpc.attention %{{.*}}, %{{.*}}, %{{.*}} scale 1.250000e-01 : (
  %0 = tpc.attention %q, %k, %v scale 0.125 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>) -> tensor<2x3x2x4x6xf32>
  // CHECK: tpc.attention %{{.*}}, %{{.*}}, %{{.*}} lengths %{{.*}} scale 1.250000e-01 : (
  %1 = tpc.attention %q, %k, %v lengths %lengths scale 0.125 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>, tensor<2xi32>) -> tensor<2x3x2x4x6xf32>
  // CHECK: tpc.attention %{{.*}}, %{{.*}}, %{{.*}} offset %{{.*}} scale 1.250000e-01 causal : (
  %2 = tpc.attention %q, %k, %v offset %offset scale 0.125 causal : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>, tensor<i64>) -> tensor<2x3x2x4x6xf32>
  // CHECK: tpc.attention %{{.*}}, %{{.*}}, %{{.*}} bias %{{.*}} lengths %{{.*}} offset %{{.*}} sinks %{{.*}} scale 1.250000e-01 causal window 3 softcap 5.000000e+01 :
  %3 = tpc.attention %q, %k, %v bias %bias lengths %lengths offset %offset sinks %sinks scale 0.125 causal window 3 softcap 50.0 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>, tensor<1x2x4x3x5xf32>, tensor<2xi32>, tensor<i64>, tensor<2x4xf32>) -> tensor<2x3x2x4x6xf32>
  return
}
