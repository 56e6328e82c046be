// Every constraint of parameters, states, reads and writes.
// RUN: tpc-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{C1: view step 0: expected a permutation of 2 dimensions}}
tpc.parameter @p : tensor<2x3xf32> from "w" : tensor<3x2xf32> view [transpose [0]]

// -----

// expected-error @+1 {{C1: view step 0: expected a shape of 6 elements, found 5}}
tpc.parameter @p : tensor<5xf32> from "w" : tensor<3x2xf32> view [reshape [5]]

// -----

// expected-error @+1 {{C1: view step 0: negative size -6}}
tpc.parameter @p : tensor<6xf32> from "w" : tensor<3x2xf32> view [reshape [-6]]

// -----

// expected-error @+1 {{C1: view step 0: more than 2^48 elements}}
tpc.parameter @p : tensor<0xf32> from "w" : tensor<0xf32> view [reshape [0, 4611686018427387904, 4], reshape [0]]

// -----

// expected-error @+1 {{C1: view step 0: expected an offset and a size for each of 2 dimensions}}
tpc.parameter @p : tensor<2xf32> from "w" : tensor<3x2xf32> view [slice [0] [2]]

// -----

// expected-error @+1 {{C1: view step 0: [2, 4) is not within dimension 0 of size 3}}
tpc.parameter @p : tensor<2x2xf32> from "w" : tensor<3x2xf32> view [slice [2, 0] [2, 2]]

// -----

// expected-error @+1 {{C1: view step 0: expected one dimension to stack along}}
tpc.parameter @p : tensor<2x3xf32> from ["a", "b"] : tensor<3xf32> view [stack [2]]

// -----

// expected-error @+1 {{C2: the view has shape [2, 3], the parameter has [3, 2]}}
tpc.parameter @p : tensor<3x2xf32> from "w" : tensor<3x2xf32> view [transpose [1, 0]]

// -----

// expected-error @+1 {{C2: the view has shape [2, 3], the parameter has [3, 2]}}
tpc.parameter @p : tensor<3x2xf32> from "w" : tensor<2x3xf32>

// -----

// expected-error @+1 {{C3: view step 0: stack must come last}}
tpc.parameter @p : tensor<3x2xf32> from ["a", "b"] : tensor<3xf32> view [stack [0], transpose [1, 0]]

// -----

// expected-error @+1 {{C3: expected one stored tensor, or a stack step; found 2}}
tpc.parameter @p : tensor<3xf32> from ["a", "b"] : tensor<3xf32>

// -----

// expected-error @+1 {{C4: view step 1: reshape of a permuted tensor is not strided}}
tpc.parameter @p : tensor<6xf32> from "w" : tensor<3x2xf32> view [transpose [1, 0], reshape [6]]

// -----

// expected-error @+1 {{expected reshape, transpose, slice or stack, found flip}}
tpc.parameter @p : tensor<6xf32> from "w" : tensor<6xf32> view [flip [0]]

// -----

// expected-error @+1 {{attribute 'type' failed to satisfy constraint}}
tpc.parameter @p : tensor<?xf32>

// -----

// expected-error @+1 {{at most 2^48 elements (T1)}}
tpc.state @p : tensor<4611686018427387904x4xf32>

// -----

func.func @f() {
  // expected-error @+1 {{C1: no parameter or state @nothing}}
  %0 = tpc.read @nothing : tensor<2xf32>
  return
}

// -----

func.func @g() { return }
func.func @f() {
  // expected-error @+1 {{C1: no parameter or state @g}}
  %0 = tpc.read @g : tensor<2xf32>
  return
}

// -----

// expected-note @+1 {{declared here}}
tpc.parameter @p : tensor<2xf32>
func.func @f() {
  // expected-error @+1 {{C2: expected type 'tensor<2xf32>', found 'tensor<3xf32>'}}
  %0 = tpc.read @p : tensor<3xf32>
  return
}

// -----

tpc.parameter @p : tensor<2xf32>
func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: no state @p}}
  tpc.write @p, %x : tensor<2xf32>
  return
}

// -----

// expected-note @+1 {{declared here}}
tpc.state @s : tensor<2xf32>
func.func @f(%x: tensor<2xf64>) {
  // expected-error @+1 {{C2: expected type 'tensor<2xf32>', found 'tensor<2xf64>'}}
  tpc.write @s, %x : tensor<2xf64>
  return
}

// -----

// expected-error@+1 {{tpc.like: expected a parameter or state, found @w}}
func.func @like_nothing(%x: tensor<2xf32>) -> (tensor<2xf32> {tpc.like = @w}) {
  return %x : tensor<2xf32>
}

// -----

tpc.parameter @w : tensor<3xf32>
// expected-error@+1 {{tpc.like: expected the type of @w, 'tensor<3xf32>', found 'tensor<2xf32>'}}
func.func @like_another(%x: tensor<2xf32>) -> (tensor<2xf32> {tpc.like = @w}) {
  return %x : tensor<2xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<2xf32>
// expected-error@+1 {{result "result0" is held like @w; pin that instead}}
func.func @like_and_pinned(%x: tensor<2xf32>) -> (tensor<2xf32> {tpc.like = @w, tpc.sharding = #tpc.sharding<@mesh, [{"tp"}]>}) {
  return %x : tensor<2xf32>
}
