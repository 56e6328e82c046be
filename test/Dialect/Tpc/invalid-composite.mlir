// Every constraint of composites but attention.
// RUN: tpc-opt %s -split-input-file -verify-diagnostics

func.func @f(%x: tensor<f32>) {
  // expected-error @+1 {{C1: expected a rank of at least 1}}
  %0 = tpc.softmax %x : (tensor<f32>) -> tensor<f32>
  return
}

// -----

func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C2: expected result of shape 4, found 3}}
  %0 = tpc.softmax %x : (tensor<4xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.softmax %x : (tensor<4xf32>) -> tensor<4xbf16>
  return
}

// -----

func.func @f(%x: tensor<f32>) {
  // expected-error @+1 {{C1: expected a rank of at least 1}}
  %0 = tpc.layer_norm %x, %x, %x epsilon 0.1 : (tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<f32>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>, %w: tensor<3xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{C1: expected weight of shape 4, found 3}}
  %0 = tpc.layer_norm %x, %w, %b epsilon 0.1 : (tensor<2x4xf32>, tensor<3xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>, %w: tensor<4xf32>, %b: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected bias of shape 4, found 2}}
  %0 = tpc.layer_norm %x, %w, %b epsilon 0.1 : (tensor<2x4xf32>, tensor<4xf32>, tensor<2xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>, %w: tensor<4xf32>) {
  // expected-error @+1 {{C2: expected result of shape 2x4, found 4x2}}
  %0 = tpc.layer_norm %x, %w, %w epsilon 0.1 : (tensor<2x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4x2xf32>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>, %w: tensor<4xf32>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.layer_norm %x, %w, %w epsilon 0.1 : (tensor<2x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<2x4xbf16>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 3, found 2}}
  %0 = tpc.gelu erf %x : (tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected equal element types, found 'f32' and 'f16'}}
  %0 = tpc.gelu erf %x : (tensor<2xf32>) -> tensor<2xf16>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{expected one of [erf, tanh] for exact or approximated Gaussian error, got: quick}}
  %0 = tpc.gelu quick %x : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>, %w: tensor<4x3x5xf32>, %b: tensor<3x5xf32>) {
  // expected-error @+1 {{C1: expected an equation like}}
  %0 = tpc.linear %x, %w, %b "b e e h d -> b h d" : (tensor<2x4xf32>, tensor<4x3x5xf32>, tensor<3x5xf32>) -> tensor<2x3x5xf32>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>, %w: tensor<4x3x5xf32>, %b: tensor<3x5xf32>) {
  // expected-error @+1 {{C2: result dimension x occurs in no operand}}
  %0 = tpc.linear %x, %w, %b "b e, e h d -> b h x" : (tensor<2x4xf32>, tensor<4x3x5xf32>, tensor<3x5xf32>) -> tensor<2x3x5xf32>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>, %w: tensor<4x3x5xf32>, %b: tensor<3x5xf32>) {
  // expected-error @+1 {{C2: expected the right operand's free dimensions to be the last of the result, in order}}
  %0 = tpc.linear %x, %w, %b "b e, e h d -> h d b" : (tensor<2x4xf32>, tensor<4x3x5xf32>, tensor<3x5xf32>) -> tensor<3x5x2xf32>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>, %w: tensor<4x3x5xf32>, %b: tensor<5x3xf32>) {
  // expected-error @+1 {{C2: expected the right operand's free dimensions to be the last of the result, in order}}
  %0 = tpc.linear %x, %w, %b "b e, e h d -> b d h" : (tensor<2x4xf32>, tensor<4x3x5xf32>, tensor<5x3xf32>) -> tensor<2x5x3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>, %w: tensor<4x3x5xf32>, %b: tensor<5xf32>) {
  // expected-error @+1 {{C2: expected bias of shape 3x5, found 5}}
  %0 = tpc.linear %x, %w, %b "b e, e h d -> b h d" : (tensor<2x4xf32>, tensor<4x3x5xf32>, tensor<5xf32>) -> tensor<2x3x5xf32>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>, %w: tensor<4x3x5xf32>, %b: tensor<3x5xbf16>) {
  // expected-error @+1 {{C3: expected equal element types, found 'bf16' and 'f32'}}
  %0 = tpc.linear %x, %w, %b "b e, e h d -> b h d" : (tensor<2x4xf32>, tensor<4x3x5xf32>, tensor<3x5xbf16>) -> tensor<2x3x5xf32>
  return
}

// -----

func.func @f(%t: tensor<7xf32>, %i: tensor<2xi32>) {
  // expected-error @+1 {{C1: expected a table of rank 2}}
  %0 = tpc.embedding %t, %i : (tensor<7xf32>, tensor<2xi32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%t: tensor<7x3xf32>, %i: tensor<2xi32>) {
  // expected-error @+1 {{C2: expected result of shape 2x3, found 2x7}}
  %0 = tpc.embedding %t, %i : (tensor<7x3xf32>, tensor<2xi32>) -> tensor<2x7xf32>
  return
}

// -----

func.func @f(%t: tensor<7x3xf32>, %i: tensor<2xi32>) {
  // expected-error @+1 {{C3: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.embedding %t, %i : (tensor<7x3xf32>, tensor<2xi32>) -> tensor<2x3xbf16>
  return
}

// -----

func.func @f(%x: tensor<f32>) {
  // expected-error @+1 {{C1: expected a rank of at least 1}}
  %0 = tpc.rms_norm %x, %x epsilon 0.1 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>, %w: tensor<3xf32>) {
  // expected-error @+1 {{C1: expected weight of shape 4, found 3}}
  %0 = tpc.rms_norm %x, %w epsilon 0.1 : (tensor<2x4xf32>, tensor<3xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>, %w: tensor<4xf32>) {
  // expected-error @+1 {{C2: expected result of shape 2x4, found 4x2}}
  %0 = tpc.rms_norm %x, %w epsilon 0.1 : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<4x2xf32>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>, %w: tensor<4xf32>) {
  // expected-error @+1 {{C2: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.rms_norm %x, %w epsilon 0.1 : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xbf16>
  return
}

// -----

func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 3, found 4}}
  %0 = tpc.silu %x : (tensor<4xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C1: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.silu %x : (tensor<4xf32>) -> tensor<4xbf16>
  return
}

// -----

func.func @f(%x: tensor<2x3x8xf32>, %p: tensor<2x3xi64>, %f: tensor<1x4xf32>) {
  // expected-error @+1 {{C1: expected frequencies of rank 1}}
  %0 = tpc.rope halves %x, %p, %f scale 1.0 : (tensor<2x3x8xf32>, tensor<2x3xi64>, tensor<1x4xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3x8xf32>, %p: tensor<2x3xi64>, %f: tensor<5xf32>) {
  // expected-error @+1 {{C1: expected a last dimension of at least 10, found shape 2x3x8}}
  %0 = tpc.rope halves %x, %p, %f scale 1.0 : (tensor<2x3x8xf32>, tensor<2x3xi64>, tensor<5xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3x8xf32>, %p: tensor<3xi64>, %f: tensor<4xf32>) {
  // expected-error @+1 {{C2: expected positions with the first dimensions of 2x3x8 but not the last, found 3}}
  %0 = tpc.rope halves %x, %p, %f scale 1.0 : (tensor<2x3x8xf32>, tensor<3xi64>, tensor<4xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3x8xf32>, %p: tensor<2x3x8xi64>, %f: tensor<4xf32>) {
  // expected-error @+1 {{C2: expected positions with the first dimensions of 2x3x8 but not the last, found 2x3x8}}
  %0 = tpc.rope halves %x, %p, %f scale 1.0 : (tensor<2x3x8xf32>, tensor<2x3x8xi64>, tensor<4xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3x8xf32>, %p: tensor<2x3xi64>, %f: tensor<4xf32>) {
  // expected-error @+1 {{C3: expected result of shape 2x3x8, found 2x3x4}}
  %0 = tpc.rope halves %x, %p, %f scale 1.0 : (tensor<2x3x8xf32>, tensor<2x3xi64>, tensor<4xf32>) -> tensor<2x3x4xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3x8xf32>, %p: tensor<2x3xi64>, %f: tensor<4xf32>) {
  // expected-error @+1 {{C3: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.rope halves %x, %p, %f scale 1.0 : (tensor<2x3x8xf32>, tensor<2x3xi64>, tensor<4xf32>) -> tensor<2x3x8xbf16>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>, %l: tensor<3xi64>) {
  // expected-error @+1 {{C1: expected logits with the shape of labels and one more dimension, found 2x4 and 3}}
  %0 = tpc.cross_entropy %x, %l : (tensor<2x4xf32>, tensor<3xi64>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x4xf32>, %l: tensor<2xi64>) {
  // expected-error @+1 {{C2: expected result of shape 2, found 4}}
  %0 = tpc.cross_entropy %x, %l : (tensor<2x4xf32>, tensor<2xi64>) -> tensor<4xf32>
  return
}

// -----

func.func @f(%x: tensor<8xf32>, %i: tensor<i64>, %w: tensor<4x8x6xf32>) {
  // expected-error @+1 {{C1: expected choices of rank at least 1 and weights of rank 3, found scalar and 4x8x6}}
  %0 = tpc.grouped_matmul %x, %i, %w : (tensor<8xf32>, tensor<i64>, tensor<4x8x6xf32>) -> tensor<6xf32>
  return
}

// -----

func.func @f(%x: tensor<3x8xf32>, %i: tensor<3x2xi64>, %w: tensor<4x8xf32>) {
  // expected-error @+1 {{C1: expected choices of rank at least 1 and weights of rank 3, found 3x2 and 4x8}}
  %0 = tpc.grouped_matmul %x, %i, %w : (tensor<3x8xf32>, tensor<3x2xi64>, tensor<4x8xf32>) -> tensor<3x2x8xf32>
  return
}

// -----

func.func @f(%x: tensor<3x7xf32>, %i: tensor<3x2xi64>, %w: tensor<4x8x6xf32>) {
  // expected-error @+1 {{C2: expected rows of shape 3x8 or 3x2x8, found 3x7}}
  %0 = tpc.grouped_matmul %x, %i, %w : (tensor<3x7xf32>, tensor<3x2xi64>, tensor<4x8x6xf32>) -> tensor<3x2x6xf32>
  return
}

// -----

func.func @f(%x: tensor<3x8xf32>, %i: tensor<3x2xi64>, %w: tensor<4x8x6xf32>) {
  // expected-error @+1 {{C3: expected result of shape 3x2x6, found 3x6}}
  %0 = tpc.grouped_matmul %x, %i, %w : (tensor<3x8xf32>, tensor<3x2xi64>, tensor<4x8x6xf32>) -> tensor<3x6xf32>
  return
}

// -----

func.func @f(%x: tensor<3x8xf32>, %i: tensor<3x2xi64>, %w: tensor<4x8x6xbf16>) {
  // expected-error @+1 {{C4: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.grouped_matmul %x, %i, %w : (tensor<3x8xf32>, tensor<3x2xi64>, tensor<4x8x6xbf16>) -> tensor<3x2x6xf32>
  return
}

// -----

func.func @f(%x: tensor<3x8xbf16>, %i: tensor<3x2xi64>, %w: tensor<4x8x6xbf16>) {
  // expected-error @+1 {{C4: expected equal element types, found 'bf16' and 'f32'}}
  %0 = tpc.grouped_matmul %x, %i, %w : (tensor<3x8xbf16>, tensor<3x2xi64>, tensor<4x8x6xbf16>) -> tensor<3x2x6xf32>
  return
}

// -----

func.func @f(%x: tensor<8xf32>, %i: tensor<i64>, %s: tensor<f32>, %g: tensor<4x8x6xf32>, %u: tensor<4x8x6xf32>, %d: tensor<4x6x8xf32>) {
  // expected-error @+1 {{C1: expected choices of rank at least 1}}
  %0 = tpc.experts %x, %i, %s, %g, %u, %d : (tensor<8xf32>, tensor<i64>, tensor<f32>, tensor<4x8x6xf32>, tensor<4x8x6xf32>, tensor<4x6x8xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @f(%x: tensor<3x8xf32>, %i: tensor<3x2xi64>, %s: tensor<3x1xf32>, %g: tensor<4x8x6xf32>, %u: tensor<4x8x6xf32>, %d: tensor<4x6x8xf32>) {
  // expected-error @+1 {{C1: expected scores of shape 3x2, found 3x1}}
  %0 = tpc.experts %x, %i, %s, %g, %u, %d : (tensor<3x8xf32>, tensor<3x2xi64>, tensor<3x1xf32>, tensor<4x8x6xf32>, tensor<4x8x6xf32>, tensor<4x6x8xf32>) -> tensor<3x8xf32>
  return
}

// -----

func.func @f(%x: tensor<3x8x1xf32>, %i: tensor<3x2xi64>, %s: tensor<3x2xf32>, %g: tensor<4x8x6xf32>, %u: tensor<4x8x6xf32>, %d: tensor<4x6x8xf32>) {
  // expected-error @+1 {{C2: expected operand with the rank of choices and down of rank 3, found 3x8x1 and 4x6x8}}
  %0 = tpc.experts %x, %i, %s, %g, %u, %d : (tensor<3x8x1xf32>, tensor<3x2xi64>, tensor<3x2xf32>, tensor<4x8x6xf32>, tensor<4x8x6xf32>, tensor<4x6x8xf32>) -> tensor<3x8xf32>
  return
}

// -----

func.func @f(%x: tensor<2x8xf32>, %i: tensor<3x2xi64>, %s: tensor<3x2xf32>, %g: tensor<4x8x6xf32>, %u: tensor<4x8x6xf32>, %d: tensor<4x6x8xf32>) {
  // expected-error @+1 {{C2: expected operand of shape 3x8, found 2x8}}
  %0 = tpc.experts %x, %i, %s, %g, %u, %d : (tensor<2x8xf32>, tensor<3x2xi64>, tensor<3x2xf32>, tensor<4x8x6xf32>, tensor<4x8x6xf32>, tensor<4x6x8xf32>) -> tensor<3x8xf32>
  return
}

// -----

func.func @f(%x: tensor<3x8xf32>, %i: tensor<3x2xi64>, %s: tensor<3x2xf32>, %g: tensor<4x8x5xf32>, %u: tensor<4x8x6xf32>, %d: tensor<4x6x8xf32>) {
  // expected-error @+1 {{C2: expected gate of shape 4x8x6, found 4x8x5}}
  %0 = tpc.experts %x, %i, %s, %g, %u, %d : (tensor<3x8xf32>, tensor<3x2xi64>, tensor<3x2xf32>, tensor<4x8x5xf32>, tensor<4x8x6xf32>, tensor<4x6x8xf32>) -> tensor<3x8xf32>
  return
}

// -----

func.func @f(%x: tensor<3x8xf32>, %i: tensor<3x2xi64>, %s: tensor<3x2xf32>, %g: tensor<4x8x6xf32>, %u: tensor<3x8x6xf32>, %d: tensor<4x6x8xf32>) {
  // expected-error @+1 {{C2: expected up of shape 4x8x6, found 3x8x6}}
  %0 = tpc.experts %x, %i, %s, %g, %u, %d : (tensor<3x8xf32>, tensor<3x2xi64>, tensor<3x2xf32>, tensor<4x8x6xf32>, tensor<3x8x6xf32>, tensor<4x6x8xf32>) -> tensor<3x8xf32>
  return
}

// -----

func.func @f(%x: tensor<3x8xf32>, %i: tensor<3x2xi64>, %s: tensor<3x2xf32>, %g: tensor<4x8x6xf32>, %u: tensor<4x8x6xf32>, %d: tensor<4x6x7xf32>) {
  // expected-error @+1 {{C3: expected result of shape 3x7, found 3x8}}
  %0 = tpc.experts %x, %i, %s, %g, %u, %d : (tensor<3x8xf32>, tensor<3x2xi64>, tensor<3x2xf32>, tensor<4x8x6xf32>, tensor<4x8x6xf32>, tensor<4x6x7xf32>) -> tensor<3x8xf32>
  return
}

// -----

func.func @f(%x: tensor<3x8xf32>, %i: tensor<3x2xi64>, %s: tensor<3x2xf32>, %g: tensor<4x8x6xf32>, %u: tensor<4x8x6xbf16>, %d: tensor<4x6x8xf32>) {
  // expected-error @+1 {{C4: expected equal element types, found 'f32' and 'bf16'}}
  %0 = tpc.experts %x, %i, %s, %g, %u, %d : (tensor<3x8xf32>, tensor<3x2xi64>, tensor<3x2xf32>, tensor<4x8x6xf32>, tensor<4x8x6xbf16>, tensor<4x6x8xf32>) -> tensor<3x8xf32>
  return
}

// -----

func.func @vjp_of_nothing(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error@+1 {{C1: there is no composite "tpc.tanh" with such a gradient}}
  %0 = tpc.vjp "tpc.tanh" {} of [0] %x, %x : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// -----

func.func @vjp_of_other_shape(%x: tensor<2x4xf32>, %g: tensor<2x3xf32>) -> tensor<2x4xf32> {
  // expected-error@+2 {{'tpc.softmax' op C2: expected result of shape 2x4, found 2x3}}
  // expected-error@+1 {{C1: the composite would not be valid}}
  %0 = tpc.vjp "tpc.softmax" {} of [0] %x, %g : (tensor<2x4xf32>, tensor<2x3xf32>) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @vjp_of_labels(%x: tensor<2x4xf32>, %l: tensor<2xi64>, %g: tensor<2xf32>) -> tensor<2x4xf32> {
  // expected-error@+1 {{C2: expected ascending numbers of floating-point operands below 2, found 1}}
  %0:2 = tpc.vjp "tpc.cross_entropy" {} of [0, 1] %x, %l, %g : (tensor<2x4xf32>, tensor<2xi64>, tensor<2xf32>) -> (tensor<2x4xf32>, tensor<2xf32>)
  return %0#0 : tensor<2x4xf32>
}

// -----

func.func @vjp_count(%x: tensor<2x4xf32>, %g: tensor<2x4xf32>) -> tensor<2x4xf32> {
  // expected-error@+1 {{C3: expected one result for each operand in `of`}}
  %0 = tpc.vjp "tpc.silu" {} of [] %x, %g : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}
