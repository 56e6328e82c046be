// Every constraint of meshes, shardings, pins and reshards, and of tensors (T1).
// RUN: tpc-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{mesh: C1: axis "tp" occurs twice}}
tpc.mesh @mesh <"tp" = 4, "tp" = 2>

// -----

// expected-error @+1 {{mesh: C2: axis "tp" needs a size of at least 1, found 0}}
tpc.mesh @mesh <"tp" = 0>

// -----

// expected-error @+1 {{mesh: C3: more than 65536 devices}}
tpc.mesh @mesh <"tp" = 4096, "dp" = 4096>

// -----

// expected-error @+1 {{mesh: C3: more than 65536 devices}}
tpc.mesh @mesh <"tp" = 4611686018427387904, "dp" = 4>

// -----

// expected-error @+1 {{sharding: C1: expected one entry per dimension (2), found 1}}
func.func private @f(tensor<2x2xf32, #tpc.sharding<@mesh, [{}]>>)

// -----

// expected-error @+1 {{sharding: C2: an axis is used twice in [{"tp"}, {"tp"}]}}
func.func private @f(tensor<2x2xf32, #tpc.sharding<@mesh, [{"tp"}, {"tp"}]>>)

// -----

// expected-error @+1 {{sharding: C2: an axis is used twice in}}
func.func private @f(tensor<2x2xf32, #tpc.sharding<@mesh, [{"tp"}, {}], sum {"tp"}>>)

// -----

// expected-error @+1 {{sharding: C2: an axis is used twice in}}
func.func private @f(tensor<2x2xf32, #tpc.sharding<@mesh, [{"tp":(1)4}, {"tp":(2)2}]>>)

// -----

// expected-error @+1 {{sharding: C3: a type has no open dimensions}}
func.func private @f(tensor<2xf32, #tpc.sharding<@mesh, [{?}]>>)

// -----

// expected-error @+1 {{expected sum, max or min, found mean}}
func.func private @f(tensor<2xf32, #tpc.sharding<@mesh, [{}], mean {"tp"}>>)

// -----

// expected-error @+1 {{expected sub-axis sizes from 1 to 65536}}
func.func private @f(tensor<2xf32, #tpc.sharding<@mesh, [{"tp":(0)2}]>>)

// -----

// expected-error @+1 {{expected sub-axis sizes from 1 to 65536}}
func.func private @f(tensor<2xf32, #tpc.sharding<@mesh, [{"tp":(4611686018427387904)4}]>>)

// -----

// expected-error @+1 {{tpc.sharding: expected one entry per dimension (2), found 1}}
tpc.parameter @p : tensor<2x2xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}]>}

// -----

// expected-error @+1 {{tpc.sharding: expected a #tpc.sharding on a tensor}}
tpc.parameter @p : tensor<2x2xf32> {tpc.sharding = 1 : i32}

// -----

// expected-error @+1 {{tpc.sharding: expected one entry per dimension (1), found 0}}
func.func private @f(tensor<2xf32> {tpc.sharding = #tpc.sharding<@mesh, []>})

// -----

// expected-error @+1 {{unknown attribute "tpc.pin"}}
func.func private @f() -> (tensor<2xf32> {tpc.pin = 1 : i32})

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{stands on parameters, states, arguments and results only; pin other values with tpc.shard}}
  %0 = tpc.neg %x {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}]>} : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 3, found 2}}
  %0 = tpc.shard %x <@mesh, [{}]> : (tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected equal element types, found 'f32' and 'f64'}}
  %0 = tpc.shard %x <@mesh, [{}]> : (tensor<2xf32>) -> tensor<2xf64>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C2: expected one entry per dimension (1), found 2}}
  %0 = tpc.shard %x <@mesh, [{}, {}]> : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected operand of shape 3, found 2}}
  %0 = tpc.reshard %x : (tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C1: expected equal element types, found 'f32' and 'f64'}}
  %0 = tpc.reshard %x : (tensor<2xf32>) -> tensor<2xf64>
  return
}

// -----

func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{C2: expected a sharding on operand and result}}
  %0 = tpc.reshard %x : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @f(%x: tensor<1048576x1048576x1048576x1048576xf32>) {
  // expected-error @+1 {{at most 2^48 elements (T1)}}
  %0 = tpc.neg %x : (tensor<1048576x1048576x1048576x1048576xf32>) -> tensor<1048576x1048576x1048576x1048576xf32>
  return
}

// -----

func.func @f(%x: tensor<0x4611686018427387904x4xf32>) {
  // expected-error @+1 {{at most 2^48 elements (T1)}}
  %0 = tpc.neg %x : (tensor<0x4611686018427387904x4xf32>) -> tensor<0x4611686018427387904x4xf32>
  return
}
