// Every constraint of contractions and reductions.
// RUN: tpc-opt %s -split-input-file -verify-diagnostics

func.func @f(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>) {
  // expected-error @+1 {{C1: expected an equation like}}
  %0 = tpc.matmul %x, %w "m k k n -> m n" : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>) {
  // expected-error @+1 {{C1: expected an equation like}}
  %0 = tpc.matmul %x, %w "m k, k n" : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>) {
  // expected-error @+1 {{C1: expected an equation like}}
  %0 = tpc.matmul %x, %w "m k, k n, a -> m n" : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>) {
  // expected-error @+1 {{C1: expected names of letters and digits in the equation, found *}}
  %0 = tpc.matmul %x, %w "m *, k n -> m n" : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x2xf32>, %w: tensor<2x4xf32>) {
  // expected-error @+1 {{C1: dimension m occurs twice in one tensor}}
  %0 = tpc.matmul %x, %w "m m, m n -> m n" : (tensor<2x2xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3x1xf32>, %w: tensor<3x4xf32>) {
  // expected-error @+1 {{C1: expected 2 dimensions of the left operand, found 3}}
  %0 = tpc.matmul %x, %w "m k, k n -> m n" : (tensor<2x3x1xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %w: tensor<3xf32>) {
  // expected-error @+1 {{C1: expected 2 dimensions of the right operand, found 1}}
  %0 = tpc.matmul %x, %w "m k, k n -> m n" : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>) {
  // expected-error @+1 {{C1: expected 2 dimensions of the result, found 3}}
  %0 = tpc.matmul %x, %w "m k, k n -> m n" : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4x1xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>) {
  // expected-error @+1 {{C2: result dimension x occurs in no operand}}
  %0 = tpc.matmul %x, %w "m k, k n -> m x" : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x5xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>) {
  // expected-error @+1 {{C2: dimension m of one operand is missing in the result}}
  %0 = tpc.matmul %x, %w "m k, k n -> n" : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>) {
  // expected-error @+1 {{C2: dimension n of one operand is missing in the result}}
  %0 = tpc.matmul %x, %w "m k, k n -> m" : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %w: tensor<5x4xf32>) {
  // expected-error @+1 {{C3: dimension k has sizes 3 and 5}}
  %0 = tpc.matmul %x, %w "m k, k n -> m n" : (tensor<2x3xf32>, tensor<5x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>) {
  // expected-error @+1 {{C3: dimension n has sizes 4 and 7}}
  %0 = tpc.matmul %x, %w "m k, k n -> m n" : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x7xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C1: expected a dimension below 2, found 2}}
  %0 = tpc.reduce sum %x dims [2] : (tensor<2x3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C1: expected ascending dimensions}}
  %0 = tpc.reduce sum %x dims [1, 0] : (tensor<2x3xf32>) -> tensor<f32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C1: expected ascending dimensions}}
  %0 = tpc.reduce sum %x dims [1, 1] : (tensor<2x3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C2: expected result of shape 2, found 3}}
  %0 = tpc.reduce sum %x dims [1] : (tensor<2x3xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C3: expected equal element types, found 'f32' and 'f64'}}
  %0 = tpc.reduce sum %x dims [1] : (tensor<2x3xf32>) -> tensor<2xf64>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{expected one of [sum, max, min] for how several contributions combine, got: mean}}
  %0 = tpc.reduce mean %x dims [1] : (tensor<2x3xf32>) -> tensor<2xf32>
  return
}
