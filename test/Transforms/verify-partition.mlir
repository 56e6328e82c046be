// Programs written by hand: the proof takes nothing from assignment or
// partition.
// RUN: tpc-opt %s --tpc-verify-partition --split-input-file --verify-diagnostics

// Accepted: a product whose parts are gathered, in another order than the
// compiler would.
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x6xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
func.func @main(%x: tensor<3x4xf32>) -> tensor<3x6xf32> {
  %w = tpc.read @w : tensor<4x6xf32>
  %0 = tpc.matmul %x, %w "m k, k n -> m n" : (tensor<3x4xf32>, tensor<4x6xf32>) -> tensor<3x6xf32>
  %1 = tpc.tanh %0 : (tensor<3x6xf32>) -> tensor<3x6xf32>
  return %1 : tensor<3x6xf32>
}
spmd.program @main.spmd of @main(%x: tensor<3x4xf32>) -> tensor<3x6xf32> args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  %w = tpc.read @w : tensor<4x3xf32>
  %0 = tpc.matmul %x, %w "m k, k n -> m n" : (tensor<3x4xf32>, tensor<4x3xf32>) -> tensor<3x3xf32>
  %1 = spmd.all_gather %0 dim 1 over @mesh{"tp"} : (tensor<3x3xf32>) -> tensor<3x6xf32>
  %2 = tpc.tanh %1 : (tensor<3x6xf32>) -> tensor<3x6xf32>
  spmd.return %2 : tensor<3x6xf32>
}

// -----

// Accepted: the minor half of tp is gathered alone, because tp cuts the block of
// 4 that x leaves evenly; that the last block of x is a short one does not
// matter.
tpc.mesh @mesh <"x" = 2, "tp" = 4>
func.func @main(%x: tensor<7xf32>) -> tensor<7xf32> {
  return %x : tensor<7xf32>
}
spmd.program @main.spmd of @main(%x: tensor<1xf32>) -> tensor<2xf32> args [#tpc.sharding<@mesh, [{"x", "tp"}]>] results [#tpc.sharding<@mesh, [{"x", "tp":(1)2}]>] {
  %0 = spmd.all_gather %x dim 0 over @mesh{"tp":(2)2} : (tensor<1xf32>) -> tensor<2xf32>
  spmd.return %0 : tensor<2xf32>
}

// -----

// Accepted: the broadcast's rows are cut by the major half of tp, which nothing
// names, until the minor half follows it there.
tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<2xf32>) -> tensor<4x2xf32> {
  %0 = tpc.broadcast %x dims [1] : (tensor<2xf32>) -> tensor<4x2xf32>
  return %0 : tensor<4x2xf32>
}
spmd.program @main.spmd of @main(%x: tensor<1xf32>) -> tensor<1x2xf32> args [#tpc.sharding<@mesh, [{"tp":(2)2}]>] results [#tpc.sharding<@mesh, [{"tp"}, {}]>] {
  %0 = tpc.broadcast %x dims [1] : (tensor<1xf32>) -> tensor<2x1xf32>
  %1 = spmd.all_to_all %0 split 0 concat 1 over @mesh{"tp":(2)2} : (tensor<2x1xf32>) -> tensor<1x2xf32>
  spmd.return %1 : tensor<1x2xf32>
}

// -----

// A function that is not linear does not act on contributions.
tpc.mesh @mesh <"tp" = 2>
func.func @main(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<f32> {
  %0 = tpc.matmul %x, %y "k, k -> " : (tensor<4xf32>, tensor<4xf32>) -> tensor<f32>
  // expected-note @below {{in the whole function}}
  %1 = tpc.exp %0 : (tensor<f32>) -> tensor<f32>
  return %1 : tensor<f32>
}
spmd.program @main.spmd of @main(%x: tensor<2xf32>, %y: tensor<2xf32>) -> tensor<f32> args [#tpc.sharding<@mesh, [{"tp"}]>, #tpc.sharding<@mesh, [{"tp"}]>] results [#tpc.sharding<@mesh, []>] {
  %0 = tpc.matmul %x, %y "k, k -> " : (tensor<2xf32>, tensor<2xf32>) -> tensor<f32>
  // expected-error @below {{is not proved: partial operands over tp where the operation is not linear in them}}
  %1 = tpc.exp %0 : (tensor<f32>) -> tensor<f32>
  %2 = spmd.all_reduce sum %1 over @mesh{"tp"} : (tensor<f32>) -> tensor<f32>
  spmd.return %2 : tensor<f32>
}

// -----

// Padding: 5 elements over 4 devices, and the sliced operand is not masked.
tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<5xf32>, %y: tensor<5xf32>) -> tensor<f32> {
  // expected-note @below {{in the whole function}}
  %0 = tpc.matmul %x, %y "k, k -> " : (tensor<5xf32>, tensor<5xf32>) -> tensor<f32>
  return %0 : tensor<f32>
}
spmd.program @main.spmd of @main(%x: tensor<5xf32>, %y: tensor<2xf32>) -> tensor<f32> args [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{"tp"}]>] results [#tpc.sharding<@mesh, []>] {
  %0 = spmd.slice %x dim 0 over @mesh{"tp"} : (tensor<5xf32>) -> tensor<2xf32>
  // expected-error @below {{is not proved: padding of operand 0 along dimension 0 reaches the result: it is not known to be the reduction's identity}}
  %1 = tpc.matmul %0, %y "k, k -> " : (tensor<2xf32>, tensor<2xf32>) -> tensor<f32>
  %2 = spmd.all_reduce sum %1 over @mesh{"tp"} : (tensor<f32>) -> tensor<f32>
  spmd.return %2 : tensor<f32>
}

// -----

// A dimension of one element that is split is held by one device only.
tpc.mesh @mesh <"tp" = 2>
func.func @main(%x: tensor<1x3xf32>) -> tensor<4x3xf32> {
  // expected-note @below {{in the whole function}}
  %0 = tpc.broadcast %x dims [0, 1] : (tensor<1x3xf32>) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}
spmd.program @main.spmd of @main(%x: tensor<1x3xf32>) -> tensor<4x3xf32> args [#tpc.sharding<@mesh, [{"tp"}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  // expected-error @below {{is not proved: operand 0, dimension 0 is cut where the operation's factors are not}}
  %0 = tpc.broadcast %x dims [0, 1] : (tensor<1x3xf32>) -> tensor<4x3xf32>
  spmd.return %0 : tensor<4x3xf32>
}

// -----

// Columns of a matrix are not a block of its elements in a row.
tpc.mesh @mesh <"tp" = 2>
func.func @main(%x: tensor<4x6xf32>) -> tensor<24xf32> {
  // expected-note @below {{in the whole function}}
  %0 = tpc.reshape %x : (tensor<4x6xf32>) -> tensor<24xf32>
  return %0 : tensor<24xf32>
}
spmd.program @main.spmd of @main(%x: tensor<4x3xf32>) -> tensor<12xf32> args [#tpc.sharding<@mesh, [{}, {"tp"}]>] results [#tpc.sharding<@mesh, [{"tp"}]>] {
  // expected-error @below {{is not proved: operands are cut differently along factor}}
  %0 = tpc.reshape %x : (tensor<4x3xf32>) -> tensor<12xf32>
  spmd.return %0 : tensor<12xf32>
}

// -----

// 2, 2, 2, 0 of 6 are not 2 by 2 of 2 x 3.
tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<6xf32>) -> tensor<2x3xf32> {
  // expected-note @below {{in the whole function}}
  %0 = tpc.reshape %x : (tensor<6xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}
spmd.program @main.spmd of @main(%x: tensor<2xf32>) -> tensor<1x2xf32> args [#tpc.sharding<@mesh, [{"tp"}]>] results [#tpc.sharding<@mesh, [{"tp":(1)2}, {"tp":(2)2}]>] {
  // expected-error @below {{is not proved: operand 0, dimension 0 is cut where the operation's factors are not}}
  %0 = tpc.reshape %x : (tensor<2xf32>) -> tensor<1x2xf32>
  spmd.return %0 : tensor<1x2xf32>
}

// -----

// Equal shapes of another element type.
tpc.mesh @mesh <"tp" = 2>
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-note @below {{in the whole function}}
  %0 = tpc.convert %x : (tensor<4xf32>) -> tensor<4xbf16>
  %1 = tpc.convert %0 : (tensor<4xbf16>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}
spmd.program @main.spmd of @main(%x: tensor<4xf32>) -> tensor<4xf32> args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>] {
  // expected-error @below {{is not proved: the local result is not a block that follows from the operands}}
  %0 = tpc.convert %x : (tensor<4xf32>) -> tensor<4xf16>
  %1 = tpc.convert %0 : (tensor<4xf16>) -> tensor<4xf32>
  spmd.return %1 : tensor<4xf32>
}

// -----

// A table relative to a block, which happens to be of integers.
tpc.mesh @mesh <"tp" = 2>
func.func @main(%t: tensor<4xi64>, %i: tensor<3xi64>) -> tensor<3xi64> {
  // expected-note @below {{in the whole function}}
  %0 = tpc.gather %t, %i dim 0 : (tensor<4xi64>, tensor<3xi64>) -> tensor<3xi64>
  return %0 : tensor<3xi64>
}
spmd.program @main.spmd of @main(%t: tensor<2xi64>, %i: tensor<3xi64>) -> tensor<3xi64> args [#tpc.sharding<@mesh, [{"tp"}]>, #tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>] {
  %s = spmd.block_start of 4 over @mesh{"tp"} : tensor<i64>
  %2 = tpc.broadcast %s dims [] : (tensor<i64>) -> tensor<2xi64>
  %3 = tpc.broadcast %s dims [] : (tensor<i64>) -> tensor<3xi64>
  %t2 = tpc.sub %t, %2 : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  %i2 = tpc.sub %i, %3 : (tensor<3xi64>, tensor<3xi64>) -> tensor<3xi64>
  // expected-error @below {{is not proved: operand 0 is relative to a block}}
  %0 = tpc.gather %t2, %i2 dim 0 : (tensor<2xi64>, tensor<3xi64>) -> tensor<3xi64>
  %1 = spmd.all_reduce sum %0 over @mesh{"tp"} : (tensor<3xi64>) -> tensor<3xi64>
  spmd.return %1 : tensor<3xi64>
}

// -----

// A state must be written as often as the whole function writes it.
tpc.mesh @mesh <"tp" = 2>
tpc.state @s : tensor<4xf32, #tpc.sharding<@mesh, [{"tp"}]>>
// expected-note @below {{the whole function}}
func.func @main(%x: tensor<4xf32>) {
  tpc.write @s, %x : tensor<4xf32>
  return
}
// expected-error @below {{does not write state @s as often as main}}
spmd.program @main.spmd of @main(%x: tensor<2xf32>) args [#tpc.sharding<@mesh, [{"tp"}]>] results [] {
  spmd.return
}

// -----

// What no result depends on may be anything.
tpc.mesh @mesh <"tp" = 2>
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}
spmd.program @main.spmd of @main(%x: tensor<2xf32>) -> tensor<2xf32> args [#tpc.sharding<@mesh, [{"tp"}]>] results [#tpc.sharding<@mesh, [{"tp"}]>] {
  %0 = tpc.constant dense<1.0> : tensor<3xf32> : tensor<3xf32>
  %1 = tpc.exp %0 : (tensor<3xf32>) -> tensor<3xf32>
  spmd.return %x : tensor<2xf32>
}

// -----

// A dimension of one element that a composite's decomposition reshapes may not
// be cut in one operand alone: the other devices would have no position.
tpc.mesh @mesh <"tp" = 3>
func.func @main(%x: tensor<1x3x2x2xf64>, %p: tensor<1x3xi64>, %f: tensor<1xf64>) -> tensor<1x3x2x2xf64> {
  // expected-note @below {{in the whole function}}
  %0 = tpc.rope pairs %x, %p, %f scale 1.0 : (tensor<1x3x2x2xf64>, tensor<1x3xi64>, tensor<1xf64>) -> tensor<1x3x2x2xf64>
  return %0 : tensor<1x3x2x2xf64>
}
spmd.program @main.spmd of @main(%x: tensor<1x3x2x2xf64>, %p: tensor<1x3xi64>, %f: tensor<1xf64>) -> tensor<1x3x2x2xf64> args [#tpc.sharding<@mesh, [{}, {}, {}, {}]>, #tpc.sharding<@mesh, [{"tp"}, {}]>, #tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}, {}, {}, {}]>] {
  // expected-error @below {{is whole and may not be cut}}
  %0 = tpc.rope pairs %x, %p, %f scale 1.0 : (tensor<1x3x2x2xf64>, tensor<1x3xi64>, tensor<1xf64>) -> tensor<1x3x2x2xf64>
  spmd.return %0 : tensor<1x3x2x2xf64>
}

// -----

// Accepted: a block of queries counts its positions from its start.
tpc.mesh @mesh <"tp" = 2>
func.func @main(%q: tensor<1x4x1x1x4xf32>, %k: tensor<1x4x1x4xf32>, %o: tensor<i64>) -> tensor<1x4x1x1x4xf32> {
  %0 = tpc.attention %q, %k, %k offset %o scale 0.5 causal : (tensor<1x4x1x1x4xf32>, tensor<1x4x1x4xf32>, tensor<1x4x1x4xf32>, tensor<i64>) -> tensor<1x4x1x1x4xf32>
  return %0 : tensor<1x4x1x1x4xf32>
}
spmd.program @main.spmd of @main(%q: tensor<1x2x1x1x4xf32>, %k: tensor<1x4x1x4xf32>, %o: tensor<i64>) -> tensor<1x2x1x1x4xf32> args [#tpc.sharding<@mesh, [{}, {"tp"}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}]>, #tpc.sharding<@mesh, []>] results [#tpc.sharding<@mesh, [{}, {"tp"}, {}, {}, {}]>] {
  %s = spmd.block_start of 4 over @mesh{"tp"} : tensor<i64>
  %p = tpc.add %o, %s : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %y = tpc.attention %q, %k, %k offset %p scale 0.5 causal : (tensor<1x2x1x1x4xf32>, tensor<1x4x1x4xf32>, tensor<1x4x1x4xf32>, tensor<i64>) -> tensor<1x2x1x1x4xf32>
  spmd.return %y : tensor<1x2x1x1x4xf32>
}

// -----

// The positions of the second block are those of the first.
tpc.mesh @mesh <"tp" = 2>
func.func @main(%q: tensor<1x4x1x1x4xf32>, %k: tensor<1x4x1x4xf32>, %o: tensor<i64>) -> tensor<1x4x1x1x4xf32> {
  // expected-note @below {{in the whole function}}
  %0 = tpc.attention %q, %k, %k offset %o scale 0.5 causal : (tensor<1x4x1x1x4xf32>, tensor<1x4x1x4xf32>, tensor<1x4x1x4xf32>, tensor<i64>) -> tensor<1x4x1x1x4xf32>
  return %0 : tensor<1x4x1x1x4xf32>
}
spmd.program @main.spmd of @main(%q: tensor<1x2x1x1x4xf32>, %k: tensor<1x4x1x4xf32>, %o: tensor<i64>) -> tensor<1x2x1x1x4xf32> args [#tpc.sharding<@mesh, [{}, {"tp"}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}]>, #tpc.sharding<@mesh, []>] results [#tpc.sharding<@mesh, [{}, {"tp"}, {}, {}, {}]>] {
  // expected-error @below {{is not proved: positions do not count from the start of the device's block of 4}}
  %y = tpc.attention %q, %k, %k offset %o scale 0.5 causal : (tensor<1x2x1x1x4xf32>, tensor<1x4x1x4xf32>, tensor<1x4x1x4xf32>, tensor<i64>) -> tensor<1x2x1x1x4xf32>
  spmd.return %y : tensor<1x2x1x1x4xf32>
}

// -----

// The start of a block of another dimension.
tpc.mesh @mesh <"tp" = 2>
func.func @main(%q: tensor<1x4x1x1x4xf32>, %k: tensor<1x4x1x4xf32>, %o: tensor<i64>) -> tensor<1x4x1x1x4xf32> {
  // expected-note @below {{in the whole function}}
  %0 = tpc.attention %q, %k, %k offset %o scale 0.5 causal : (tensor<1x4x1x1x4xf32>, tensor<1x4x1x4xf32>, tensor<1x4x1x4xf32>, tensor<i64>) -> tensor<1x4x1x1x4xf32>
  return %0 : tensor<1x4x1x1x4xf32>
}
spmd.program @main.spmd of @main(%q: tensor<1x2x1x1x4xf32>, %k: tensor<1x4x1x4xf32>, %o: tensor<i64>) -> tensor<1x2x1x1x4xf32> args [#tpc.sharding<@mesh, [{}, {"tp"}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}]>, #tpc.sharding<@mesh, []>] results [#tpc.sharding<@mesh, [{}, {"tp"}, {}, {}, {}]>] {
  %s = spmd.block_start of 6 over @mesh{"tp"} : tensor<i64>
  %p = tpc.add %o, %s : (tensor<i64>, tensor<i64>) -> tensor<i64>
  // expected-error @below {{is not proved: positions do not count from the start of the device's block of 4}}
  %y = tpc.attention %q, %k, %k offset %p scale 0.5 causal : (tensor<1x2x1x1x4xf32>, tensor<1x4x1x4xf32>, tensor<1x4x1x4xf32>, tensor<i64>) -> tensor<1x2x1x1x4xf32>
  spmd.return %y : tensor<1x2x1x1x4xf32>
}

// -----

// Minus the start.
tpc.mesh @mesh <"tp" = 2>
func.func @main(%q: tensor<1x4x1x1x4xf32>, %k: tensor<1x4x1x4xf32>, %o: tensor<i64>) -> tensor<1x4x1x1x4xf32> {
  // expected-note @below {{in the whole function}}
  %0 = tpc.attention %q, %k, %k offset %o scale 0.5 causal : (tensor<1x4x1x1x4xf32>, tensor<1x4x1x4xf32>, tensor<1x4x1x4xf32>, tensor<i64>) -> tensor<1x4x1x1x4xf32>
  return %0 : tensor<1x4x1x1x4xf32>
}
spmd.program @main.spmd of @main(%q: tensor<1x2x1x1x4xf32>, %k: tensor<1x4x1x4xf32>, %o: tensor<i64>) -> tensor<1x2x1x1x4xf32> args [#tpc.sharding<@mesh, [{}, {"tp"}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}]>, #tpc.sharding<@mesh, []>] results [#tpc.sharding<@mesh, [{}, {"tp"}, {}, {}, {}]>] {
  %s = spmd.block_start of 4 over @mesh{"tp"} : tensor<i64>
  %p = tpc.sub %o, %s : (tensor<i64>, tensor<i64>) -> tensor<i64>
  // expected-error @below {{is not proved: positions do not count from the start of the device's block of 4}}
  %y = tpc.attention %q, %k, %k offset %p scale 0.5 causal : (tensor<1x2x1x1x4xf32>, tensor<1x4x1x4xf32>, tensor<1x4x1x4xf32>, tensor<i64>) -> tensor<1x2x1x1x4xf32>
  spmd.return %y : tensor<1x2x1x1x4xf32>
}

// -----

// The start added twice.
tpc.mesh @mesh <"tp" = 2>
// expected-note @below {{in the whole function}}
func.func @main(%q: tensor<1x4x1x1x4xf32>, %k: tensor<1x4x1x4xf32>, %o: tensor<i64>) -> tensor<1x4x1x1x4xf32> {
  %0 = tpc.attention %q, %k, %k offset %o scale 0.5 causal : (tensor<1x4x1x1x4xf32>, tensor<1x4x1x4xf32>, tensor<1x4x1x4xf32>, tensor<i64>) -> tensor<1x4x1x1x4xf32>
  return %0 : tensor<1x4x1x1x4xf32>
}
spmd.program @main.spmd of @main(%q: tensor<1x2x1x1x4xf32>, %k: tensor<1x4x1x4xf32>, %o: tensor<i64>) -> tensor<1x2x1x1x4xf32> args [#tpc.sharding<@mesh, [{}, {"tp"}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}]>, #tpc.sharding<@mesh, []>] results [#tpc.sharding<@mesh, [{}, {"tp"}, {}, {}, {}]>] {
  %s = spmd.block_start of 4 over @mesh{"tp"} : tensor<i64>
  %p = tpc.add %o, %s : (tensor<i64>, tensor<i64>) -> tensor<i64>
  // expected-error @below {{is not proved: the whole function does not compute this of these operands}}
  %p2 = tpc.add %p, %s : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %y = tpc.attention %q, %k, %k offset %p2 scale 0.5 causal : (tensor<1x2x1x1x4xf32>, tensor<1x4x1x4xf32>, tensor<1x4x1x4xf32>, tensor<i64>) -> tensor<1x2x1x1x4xf32>
  spmd.return %y : tensor<1x2x1x1x4xf32>
}

// -----

// All queries, but with the positions of a block.
tpc.mesh @mesh <"tp" = 2>
func.func @main(%q: tensor<1x4x1x1x4xf32>, %k: tensor<1x4x1x4xf32>, %o: tensor<i64>) -> tensor<1x4x1x1x4xf32> {
  // expected-note @below {{in the whole function}}
  %0 = tpc.attention %q, %k, %k offset %o scale 0.5 causal : (tensor<1x4x1x1x4xf32>, tensor<1x4x1x4xf32>, tensor<1x4x1x4xf32>, tensor<i64>) -> tensor<1x4x1x1x4xf32>
  return %0 : tensor<1x4x1x1x4xf32>
}
spmd.program @main.spmd of @main(%q: tensor<1x4x1x1x4xf32>, %k: tensor<1x4x1x4xf32>, %o: tensor<i64>) -> tensor<1x4x1x1x4xf32> args [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}]>, #tpc.sharding<@mesh, []>] results [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>] {
  %s = spmd.block_start of 4 over @mesh{"tp"} : tensor<i64>
  %p = tpc.add %o, %s : (tensor<i64>, tensor<i64>) -> tensor<i64>
  // expected-error @below {{is not proved: operand 3 is moved by the start of a block}}
  %y = tpc.attention %q, %k, %k offset %p scale 0.5 causal : (tensor<1x4x1x1x4xf32>, tensor<1x4x1x4xf32>, tensor<1x4x1x4xf32>, tensor<i64>) -> tensor<1x4x1x1x4xf32>
  spmd.return %y : tensor<1x4x1x1x4xf32>
}
