// Every constraint of operations whose positions are data.
// RUN: tpc-opt %s -split-input-file -verify-diagnostics

func.func @f(%t: tensor<7x3xf32>, %i: tensor<2xi32>) {
  // expected-error @+1 {{C1: expected a dimension below 2, found 2}}
  %0 = tpc.gather %t, %i dim 2 : (tensor<7x3xf32>, tensor<2xi32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @f(%t: tensor<7x3xf32>, %i: tensor<2xi32>) {
  // expected-error @+1 {{C2: expected result of shape 2x3, found 7x3}}
  %0 = tpc.gather %t, %i dim 0 : (tensor<7x3xf32>, tensor<2xi32>) -> tensor<7x3xf32>
  return
}

// -----

func.func @f(%t: tensor<7x3xf32>, %i: tensor<2xi32>) {
  // expected-error @+1 {{C3: expected equal element types, found 'f32' and 'f64'}}
  %0 = tpc.gather %t, %i dim 0 : (tensor<7x3xf32>, tensor<2xi32>) -> tensor<2x3xf64>
  return
}

// -----

func.func @f(%t: tensor<7x3xf32>, %i: tensor<2xi32>, %u: tensor<2x3xf32>) {
  // expected-error @+1 {{C1: expected a dimension below 2, found -1}}
  %0 = tpc.scatter_add %t, %i, %u dim -1 : (tensor<7x3xf32>, tensor<2xi32>, tensor<2x3xf32>) -> tensor<7x3xf32>
  return
}

// -----

func.func @f(%t: tensor<7x3xf32>, %i: tensor<2xi32>, %u: tensor<3x3xf32>) {
  // expected-error @+1 {{C2: expected updates of shape 2x3, found 3x3}}
  %0 = tpc.scatter_add %t, %i, %u dim 0 : (tensor<7x3xf32>, tensor<2xi32>, tensor<3x3xf32>) -> tensor<7x3xf32>
  return
}

// -----

func.func @f(%t: tensor<7x3xf32>, %i: tensor<2xi32>, %u: tensor<2x3xf64>) {
  // expected-error @+1 {{C3: expected equal element types, found 'f32' and 'f64'}}
  %0 = tpc.scatter_add %t, %i, %u dim 0 : (tensor<7x3xf32>, tensor<2xi32>, tensor<2x3xf64>) -> tensor<7x3xf32>
  return
}

// -----

func.func @f(%t: tensor<7x3xf32>, %i: tensor<2xi32>, %u: tensor<2x3xf32>) {
  // expected-error @+1 {{C3: expected result of shape 7x3, found 6x3}}
  %0 = tpc.scatter_add %t, %i, %u dim 0 : (tensor<7x3xf32>, tensor<2xi32>, tensor<2x3xf32>) -> tensor<6x3xf32>
  return
}

// -----

func.func @f(%x: tensor<f32>) {
  // expected-error @+1 {{C1: expected a rank of at least 1}}
  %0:2 = tpc.sort %x : (tensor<f32>) -> (tensor<f32>, tensor<i32>)
  return
}

// -----

func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C1: expected values of shape 4, found 3}}
  %0:2 = tpc.sort %x : (tensor<4xf32>) -> (tensor<3xf32>, tensor<4xi32>)
  return
}

// -----

func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C1: expected equal element types, found 'f32' and 'f64'}}
  %0:2 = tpc.sort %x : (tensor<4xf32>) -> (tensor<4xf64>, tensor<4xi32>)
  return
}

// -----

func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C2: expected positions of shape 4, found 3}}
  %0:2 = tpc.sort %x : (tensor<4xf32>) -> (tensor<4xf32>, tensor<3xi32>)
  return
}

// -----

func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C1: expected 1 <= k <= the last dimension}}
  %0:2 = tpc.top_k %x : (tensor<4xf32>) -> (tensor<5xf32>, tensor<5xi32>)
  return
}

// -----

func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C1: expected 1 <= k <= the last dimension}}
  %0:2 = tpc.top_k %x : (tensor<4xf32>) -> (tensor<0xf32>, tensor<0xi32>)
  return
}

// -----

func.func @f(%x: tensor<f32>) {
  // expected-error @+1 {{C1: expected 1 <= k <= the last dimension}}
  %0:2 = tpc.top_k %x : (tensor<f32>) -> (tensor<f32>, tensor<i32>)
  return
}

// -----

func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C1: expected positions of shape 2, found 3}}
  %0:2 = tpc.top_k %x : (tensor<4xf32>) -> (tensor<2xf32>, tensor<3xi32>)
  return
}

// -----

func.func @f(%x: tensor<3x4xf32>) {
  // expected-error @+1 {{C2: expected values' other dimensions of shape 3, found 2}}
  %0:2 = tpc.top_k %x : (tensor<3x4xf32>) -> (tensor<2x2xf32>, tensor<2x2xi32>)
  return
}

// -----

func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'f64'}}
  %0:2 = tpc.top_k %x : (tensor<4xf32>) -> (tensor<2xf64>, tensor<2xi32>)
  return
}
