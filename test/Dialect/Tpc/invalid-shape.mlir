// Every constraint of operations that move elements.
// RUN: tpc-opt %s -split-input-file -verify-diagnostics

func.func @f(%x: tensor<3xf32>) {
  // expected-error @+1 {{C1: expected one entry per operand dimension}}
  %0 = tpc.broadcast %x dims [0, 1] : (tensor<3xf32>) -> tensor<3x2xf32>
  return
}

// -----

func.func @f(%x: tensor<3x2xf32>) {
  // expected-error @+1 {{C1: expected ascending dimensions}}
  %0 = tpc.broadcast %x dims [1, 0] : (tensor<3x2xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<3xf32>) {
  // expected-error @+1 {{C1: expected a dimension below 2, found 2}}
  %0 = tpc.broadcast %x dims [2] : (tensor<3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<3xf32>) {
  // expected-error @+1 {{C2: expected size 1 or 2 for dimension 0 of the result, found 3}}
  %0 = tpc.broadcast %x dims [0] : (tensor<3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<3xf32>) {
  // expected-error @+1 {{C3: expected equal element types, found 'f32' and 'f64'}}
  %0 = tpc.broadcast %x dims [1] : (tensor<3xf32>) -> tensor<2x3xf64>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C1: expected equally many elements, found 2x3 and 5}}
  %0 = tpc.reshape %x : (tensor<2x3xf32>) -> tensor<5xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'i32'}}
  %0 = tpc.reshape %x : (tensor<2x3xf32>) -> tensor<6xi32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C1: }}
  %0 = tpc.again %x : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C1: expected a permutation of the dimensions}}
  %0 = tpc.transpose %x [0] : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C1: expected a permutation of the dimensions}}
  %0 = tpc.transpose %x [1, 1] : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C2: expected result of shape 3x2, found 2x3}}
  %0 = tpc.transpose %x [1, 0] : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C3: expected equal element types, found 'f32' and 'f64'}}
  %0 = tpc.transpose %x [1, 0] : (tensor<2x3xf32>) -> tensor<3x2xf64>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C1: expected one offset per dimension, not negative}}
  %0 = tpc.slice %x [0] : (tensor<2x3xf32>) -> tensor<1x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C1: expected one offset per dimension, not negative}}
  %0 = tpc.slice %x [-1, 0] : (tensor<2x3xf32>) -> tensor<1x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C2: dimension 1: expected 2 elements from offset 2 inside of 3}}
  %0 = tpc.slice %x [1, 2] : (tensor<2x3xf32>) -> tensor<1x2xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C3: expected equal ranks}}
  %0 = tpc.slice %x [0, 0] : (tensor<2x3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C3: expected equal element types, found 'f32' and 'f64'}}
  %0 = tpc.slice %x [0, 0] : (tensor<2x3xf32>) -> tensor<2x3xf64>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %i: tensor<1xi32>) {
  // expected-error @+1 {{C1: expected start of shape 2, found 1}}
  %0 = tpc.dynamic_slice %x, %i : (tensor<2x3xf32>, tensor<1xi32>) -> tensor<1x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %i: tensor<2xi32>) {
  // expected-error @+1 {{C2: expected equal ranks}}
  %0 = tpc.dynamic_slice %x, %i : (tensor<2x3xf32>, tensor<2xi32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %i: tensor<2xi32>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'f64'}}
  %0 = tpc.dynamic_slice %x, %i : (tensor<2x3xf32>, tensor<2xi32>) -> tensor<1x3xf64>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %i: tensor<2xi32>) {
  // expected-error @+1 {{C3: dimension 1: 4 is larger than 3}}
  %0 = tpc.dynamic_slice %x, %i : (tensor<2x3xf32>, tensor<2xi32>) -> tensor<1x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %u: tensor<1x1xf32>, %i: tensor<3xi32>) {
  // expected-error @+1 {{C1: expected start of shape 2, found 3}}
  %0 = tpc.update_slice %x, %u, %i : (tensor<2x3xf32>, tensor<1x1xf32>, tensor<3xi32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %u: tensor<2x1xf32>, %i: tensor<2x2xi32>) {
  // expected-error @+1 {{C1: expected start of shape 2x1, found 2x2}}
  %0 = tpc.update_slice %x, %u, %i : (tensor<2x3xf32>, tensor<2x1xf32>, tensor<2x2xi32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %u: tensor<1x1xf32>, %i: tensor<2x1xi32>) {
  // expected-error @+1 {{C1: a start per row: expected an update with dimension 0 of size 2, found shape 1x1}}
  %0 = tpc.update_slice %x, %u, %i : (tensor<2x3xf32>, tensor<1x1xf32>, tensor<2x1xi32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %u: tensor<1xf32>, %i: tensor<2xi32>) {
  // expected-error @+1 {{C2: expected equal ranks}}
  %0 = tpc.update_slice %x, %u, %i : (tensor<2x3xf32>, tensor<1xf32>, tensor<2xi32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %u: tensor<1x1xf64>, %i: tensor<2xi32>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'f64'}}
  %0 = tpc.update_slice %x, %u, %i : (tensor<2x3xf32>, tensor<1x1xf64>, tensor<2xi32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %u: tensor<3x1xf32>, %i: tensor<2xi32>) {
  // expected-error @+1 {{C3: dimension 0: 3 is larger than 2}}
  %0 = tpc.update_slice %x, %u, %i : (tensor<2x3xf32>, tensor<3x1xf32>, tensor<2xi32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %u: tensor<1x1xf32>, %i: tensor<2xi32>) {
  // expected-error @+1 {{C4: expected result of shape 2x3, found 2x2}}
  %0 = tpc.update_slice %x, %u, %i : (tensor<2x3xf32>, tensor<1x1xf32>, tensor<2xi32>) -> tensor<2x2xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %u: tensor<1x1xf32>, %i: tensor<2xi32>) {
  // expected-error @+1 {{C4: expected equal element types, found 'f32' and 'f64'}}
  %0 = tpc.update_slice %x, %u, %i : (tensor<2x3xf32>, tensor<1x1xf32>, tensor<2xi32>) -> tensor<2x3xf64>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C1: expected one entry per dimension, not negative}}
  %0 = tpc.pad %x low [0] with 0.0 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C1: expected one entry per dimension, not negative}}
  %0 = tpc.pad %x low [0, -1] with 0.0 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C2: dimension 1: expected 3 elements behind 1 of padding inside of 3}}
  %0 = tpc.pad %x low [0, 1] with 0.0 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C3: expected equal ranks}}
  %0 = tpc.pad %x low [0, 0] with 0.0 : (tensor<2x3xf32>) -> tensor<6xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C3: expected equal element types, found 'f32' and 'i32'}}
  %0 = tpc.pad %x low [0, 0] with 0.0 : (tensor<2x3xf32>) -> tensor<2x3xi32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{C1: expected a dimension below 2, found 2}}
  %0 = tpc.concat %x, %x dim 2 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x6xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %y: tensor<6xf32>) {
  // expected-error @+1 {{C2: expected equal ranks}}
  %0 = tpc.concat %x, %y dim 0 : (tensor<2x3xf32>, tensor<6xf32>) -> tensor<4x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %y: tensor<2x3xf64>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f64' and 'f32'}}
  %0 = tpc.concat %x, %y dim 0 : (tensor<2x3xf32>, tensor<2x3xf64>) -> tensor<4x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %y: tensor<2x4xf32>) {
  // expected-error @+1 {{C3: dimension 1: expected 3, found 4}}
  %0 = tpc.concat %x, %y dim 0 : (tensor<2x3xf32>, tensor<2x4xf32>) -> tensor<4x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) {
  // expected-error @+1 {{C3: expected 4 along the dimension, found 5}}
  %0 = tpc.concat %x, %y dim 0 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<5x3xf32>
  return
}
