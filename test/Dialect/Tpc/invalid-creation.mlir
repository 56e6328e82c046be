// Every constraint of operations that create tensors.
// RUN: tpc-opt %s -split-input-file -verify-diagnostics

func.func @f() {
  // expected-error @+1 {{C1: expected value of shape 3, found 2}}
  %0 = tpc.constant dense<1.0> : tensor<2xf32> : tensor<3xf32>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{C1: value and result differ in element type}}
  %0 = tpc.constant dense<1.0> : tensor<2xf32> : tensor<2xf64>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{C2: expected a dense<...> value}}
  %0 = tpc.constant sparse<[[0]], [1.0]> : tensor<2xf32> : tensor<2xf32>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{C1: expected a dimension below 2, found 2}}
  %0 = tpc.iota dim 2 : tensor<2x3xi64>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{C1: expected a dimension below 2, found -1}}
  %0 = tpc.iota dim -1 : tensor<2x3xi64>
  return
}
