// Every constraint of elementwise operations.
// RUN: tpc-opt %s -split-input-file -verify-diagnostics

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 3, found 2}}
  %0 = tpc.neg %x : (tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 3, found 2}}
  %0 = tpc.abs %x : (tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 3, found 2}}
  %0 = tpc.exp %x : (tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 3, found 2}}
  %0 = tpc.log %x : (tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 3, found 2}}
  %0 = tpc.sqrt %x : (tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 3, found 2}}
  %0 = tpc.rsqrt %x : (tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 3, found 2}}
  %0 = tpc.sin %x : (tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 3, found 2}}
  %0 = tpc.cos %x : (tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 3, found 2}}
  %0 = tpc.tanh %x : (tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 3, found 2}}
  %0 = tpc.erf %x : (tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2xi1>) {
  // expected-error @+1 {{C1: expected operand of shape 3, found 2}}
  %0 = tpc.not %x : (tensor<2xi1>) -> tensor<3xi1>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.neg %x : (tensor<2xf32>) -> tensor<2xbf16>
  return
}

// -----

func.func @f(%x: tensor<2xi32>) {
  // expected-error @+1 {{operand #0 must be}}
  %0 = tpc.exp %x : (tensor<2xi32>) -> tensor<2xi32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>, %y: tensor<3xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 2, found 3}}
  %0 = tpc.add %x, %y : (tensor<2xf32>, tensor<3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>, %y: tensor<2xbf16>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.add %x, %y : (tensor<2xf32>, tensor<2xbf16>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>, %y: tensor<3xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 2, found 3}}
  %0 = tpc.sub %x, %y : (tensor<2xf32>, tensor<3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>, %y: tensor<2xbf16>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.sub %x, %y : (tensor<2xf32>, tensor<2xbf16>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>, %y: tensor<3xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 2, found 3}}
  %0 = tpc.mul %x, %y : (tensor<2xf32>, tensor<3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>, %y: tensor<2xbf16>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.mul %x, %y : (tensor<2xf32>, tensor<2xbf16>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>, %y: tensor<3xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 2, found 3}}
  %0 = tpc.div %x, %y : (tensor<2xf32>, tensor<3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>, %y: tensor<2xbf16>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.div %x, %y : (tensor<2xf32>, tensor<2xbf16>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>, %y: tensor<3xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 2, found 3}}
  %0 = tpc.max %x, %y : (tensor<2xf32>, tensor<3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>, %y: tensor<2xbf16>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.max %x, %y : (tensor<2xf32>, tensor<2xbf16>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>, %y: tensor<3xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 2, found 3}}
  %0 = tpc.min %x, %y : (tensor<2xf32>, tensor<3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>, %y: tensor<2xbf16>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.min %x, %y : (tensor<2xf32>, tensor<2xbf16>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>, %y: tensor<3xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 2, found 3}}
  %0 = tpc.pow %x, %y : (tensor<2xf32>, tensor<3xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>, %y: tensor<2xbf16>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.pow %x, %y : (tensor<2xf32>, tensor<2xbf16>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xi1>, %y: tensor<3xi1>) {
  // expected-error @+1 {{C1: expected operand of shape 2, found 3}}
  %0 = tpc.and %x, %y : (tensor<2xi1>, tensor<3xi1>) -> tensor<2xi1>
  return
}

// -----

func.func @f(%x: tensor<2xi1>, %y: tensor<3xi1>) {
  // expected-error @+1 {{C1: expected operand of shape 2, found 3}}
  %0 = tpc.or %x, %y : (tensor<2xi1>, tensor<3xi1>) -> tensor<2xi1>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'f64'}}
  %0 = tpc.add %x, %x : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf64>
  return
}

// -----

func.func @f(%x: tensor<2xf32>, %y: tensor<3xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 2, found 3}}
  %0 = tpc.compare lt %x, %y : (tensor<2xf32>, tensor<3xf32>) -> tensor<2xi1>
  return
}

// -----

func.func @f(%x: tensor<2xf32>, %y: tensor<2xi32>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'i32'}}
  %0 = tpc.compare lt %x, %y : (tensor<2xf32>, tensor<2xi32>) -> tensor<2xi1>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{expected one of [eq, ne, lt, le, gt, ge] for comparison, got: below}}
  %0 = tpc.compare below %x, %x : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xi1>
  return
}

// -----

func.func @f(%c: tensor<3xi1>, %x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 2, found 3}}
  %0 = tpc.select %c, %x, %x : (tensor<3xi1>, tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%c: tensor<2xi1>, %x: tensor<2xf32>, %y: tensor<2xf64>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'f64'}}
  %0 = tpc.select %c, %x, %y : (tensor<2xi1>, tensor<2xf32>, tensor<2xf64>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%c: tensor<2xi1>, %x: tensor<2xf32>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'f64'}}
  %0 = tpc.select %c, %x, %x : (tensor<2xi1>, tensor<2xf32>, tensor<2xf32>) -> tensor<2xf64>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 3, found 2}}
  %0 = tpc.convert %x : (tensor<2xf32>) -> tensor<3xbf16>
  return
}
