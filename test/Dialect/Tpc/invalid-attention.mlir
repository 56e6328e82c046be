// Every constraint of tpc.attention.
// RUN: tpc-opt %s -split-input-file -verify-diagnostics

func.func @f(%q: tensor<2x3x8x8xf32>, %k: tensor<2x5x2x8xf32>, %v: tensor<2x5x2x6xf32>) {
  // expected-error @+1 {{C1: expected query of rank 5 and key and value of rank 4}}
  %0 = tpc.attention %q, %k, %v scale 0.1 : (tensor<2x3x8x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>) -> tensor<2x3x2x4x6xf32>
  return
}

// -----

func.func @f(%q: tensor<2x3x2x4x8xf32>, %k: tensor<2x5x3x8xf32>, %v: tensor<2x5x2x6xf32>) {
  // expected-error @+1 {{C1: expected key of shape 2x5x2x8, found 2x5x3x8}}
  %0 = tpc.attention %q, %k, %v scale 0.1 : (tensor<2x3x2x4x8xf32>, tensor<2x5x3x8xf32>, tensor<2x5x2x6xf32>) -> tensor<2x3x2x4x6xf32>
  return
}

// -----

func.func @f(%q: tensor<2x3x2x4x8xf32>, %k: tensor<2x5x2x8xf32>, %v: tensor<2x4x2x6xf32>) {
  // expected-error @+1 {{C1: expected value of shape 2x5x2x6, found 2x4x2x6}}
  %0 = tpc.attention %q, %k, %v scale 0.1 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x4x2x6xf32>) -> tensor<2x3x2x4x6xf32>
  return
}

// -----

func.func @f(%q: tensor<2x3x2x4x8xf32>, %k: tensor<2x5x2x8xf32>, %v: tensor<2x5x2x6xf32>) {
  // expected-error @+1 {{C2: expected result of shape 2x3x2x4x6, found 2x3x2x4x8}}
  %0 = tpc.attention %q, %k, %v scale 0.1 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>) -> tensor<2x3x2x4x8xf32>
  return
}

// -----

func.func @f(%q: tensor<2x3x2x4x8xf32>, %k: tensor<2x5x2x8xf32>, %v: tensor<2x5x2x6xf32>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.attention %q, %k, %v scale 0.1 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>) -> tensor<2x3x2x4x6xbf16>
  return
}

// -----

func.func @f(%q: tensor<2x3x2x4x8xf32>, %k: tensor<2x5x2x8xf32>, %v: tensor<2x5x2x6xf32>, %bias: tensor<2x4x3x5xf32>) {
  // expected-error @+1 {{C3: expected a bias of rank 5}}
  %0 = tpc.attention %q, %k, %v bias %bias scale 0.1 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>, tensor<2x4x3x5xf32>) -> tensor<2x3x2x4x6xf32>
  return
}

// -----

func.func @f(%q: tensor<2x3x2x4x8xf32>, %k: tensor<2x5x2x8xf32>, %v: tensor<2x5x2x6xf32>, %bias: tensor<2x2x2x3x5xf32>) {
  // expected-error @+1 {{C3: expected size 1 or 4, found 2}}
  %0 = tpc.attention %q, %k, %v bias %bias scale 0.1 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>, tensor<2x2x2x3x5xf32>) -> tensor<2x3x2x4x6xf32>
  return
}

// -----

func.func @f(%q: tensor<2x3x2x4x8xf32>, %k: tensor<2x5x2x8xf32>, %v: tensor<2x5x2x6xf32>, %lengths: tensor<3xi32>) {
  // expected-error @+1 {{C4: expected lengths of shape 2, found 3}}
  %0 = tpc.attention %q, %k, %v lengths %lengths scale 0.1 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>, tensor<3xi32>) -> tensor<2x3x2x4x6xf32>
  return
}

// -----

func.func @f(%q: tensor<2x3x2x4x8xf32>, %k: tensor<2x5x2x8xf32>, %v: tensor<2x5x2x6xf32>, %offset: tensor<1xi32>) {
  // expected-error @+1 {{C4: expected offset of shape 2, found 1}}
  %0 = tpc.attention %q, %k, %v offset %offset scale 0.1 causal : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>, tensor<1xi32>) -> tensor<2x3x2x4x6xf32>
  return
}

// -----

func.func @f(%q: tensor<2x3x2x4x8xf32>, %k: tensor<2x5x2x8xf32>, %v: tensor<2x5x2x6xf32>, %sinks: tensor<4x2xf32>) {
  // expected-error @+1 {{C4: expected sinks of shape 2x4, found 4x2}}
  %0 = tpc.attention %q, %k, %v sinks %sinks scale 0.1 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>, tensor<4x2xf32>) -> tensor<2x3x2x4x6xf32>
  return
}

// -----

func.func @f(%q: tensor<2x3x2x4x8xf32>, %k: tensor<2x5x2x8xf32>, %v: tensor<2x5x2x6xf32>) {
  // expected-error @+1 {{C5: expected a positive window}}
  %0 = tpc.attention %q, %k, %v scale 0.1 window 0 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>) -> tensor<2x3x2x4x6xf32>
  return
}

// -----

func.func @f(%q: tensor<2x3x2x4x8xf32>, %k: tensor<2x5x2x8xf32>, %v: tensor<2x5x2x6xf32>) {
  // expected-error @+1 {{C5: expected a positive softcap}}
  %0 = tpc.attention %q, %k, %v scale 0.1 softcap 0.0 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>) -> tensor<2x3x2x4x6xf32>
  return
}

// -----

func.func @f(%q: tensor<2x3x2x4x8xf32>, %k: tensor<2x5x2x8xf32>, %v: tensor<2x5x2x6xf32>, %offset: tensor<i32>) {
  // expected-error @+1 {{C6: offset needs causal or window}}
  %0 = tpc.attention %q, %k, %v offset %offset scale 0.1 : (tensor<2x3x2x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x6xf32>, tensor<i32>) -> tensor<2x3x2x4x6xf32>
  return
}
