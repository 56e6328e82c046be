// RUN: tpc-opt %s --tpc-verify-assigned --split-input-file --verify-diagnostics

tpc.mesh @mesh <"tp" = 2>
func.func @missing(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @below {{assigned form: operand 0 carries no sharding}}
  %0 = tpc.neg %x : (tensor<4xf32>) -> tensor<4xf32>
  // expected-error @below {{assigned form: operand 0 carries no sharding}}
  return %0 : tensor<4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
#dp = #tpc.sharding<@mesh, [{"dp"}]>
func.func @axis(%x: tensor<4xf32, #dp>) -> tensor<4xf32, #dp> {
  // expected-error @below {{assigned form: operand 0: unknown mesh axis "dp"; the mesh has: tp}}
  return %x : tensor<4xf32, #dp>
}

// -----

tpc.mesh @mesh <"tp" = 2>
#split = #tpc.sharding<@mesh, [{"tp"}]>
#whole = #tpc.sharding<@mesh, [{}]>
func.func @elementwise(%x: tensor<4xf32, #split>, %y: tensor<4xf32, #whole>) -> tensor<4xf32, #split> {
  // expected-error @below {{is not local under its shardings; rule: d0, d0 -> d0}}
  %0 = tpc.add %x, %y : (tensor<4xf32, #split>, tensor<4xf32, #whole>) -> tensor<4xf32, #split>
  return %0 : tensor<4xf32, #split>
}

// -----

// A contraction over a split dimension is partial.
tpc.mesh @mesh <"tp" = 2>
#columns = #tpc.sharding<@mesh, [{}, {"tp"}]>
#rows = #tpc.sharding<@mesh, [{"tp"}, {}]>
#whole = #tpc.sharding<@mesh, [{}, {}]>
func.func @contraction(%x: tensor<4x4xf32, #columns>, %w: tensor<4x4xf32, #rows>) -> tensor<4x4xf32, #whole> {
  // expected-error @below {{is not local under its shardings}}
  %0 = tpc.matmul %x, %w "m k, k n -> m n" : (tensor<4x4xf32, #columns>, tensor<4x4xf32, #rows>) -> tensor<4x4xf32, #whole>
  return %0 : tensor<4x4xf32, #whole>
}

// -----

// The sum of maxima is not the maximum of sums.
tpc.mesh @mesh <"a" = 2, "b" = 2>
#both = #tpc.sharding<@mesh, [{}], sum {"a"}, max {"b"}>
#whole = #tpc.sharding<@mesh, [{}]>
func.func @reductions(%x: tensor<4xf32, #whole>) -> tensor<4xf32, #whole> {
  // expected-error @below {{assigned form: result 0 is partial by two reductions, which do not commute}}
  %0 = tpc.reshard %x : (tensor<4xf32, #whole>) -> tensor<4xf32, #both>
  // expected-error @below {{assigned form: operand 0 is partial by two reductions, which do not commute}}
  %1 = tpc.reshard %0 : (tensor<4xf32, #both>) -> tensor<4xf32, #whole>
  return %1 : tensor<4xf32, #whole>
}

// -----

tpc.mesh @mesh <"tp" = 2>
#partial = #tpc.sharding<@mesh, [{}], sum {"tp"}>
#whole = #tpc.sharding<@mesh, [{}]>
func.func @result(%x: tensor<4xf32, #whole>) -> tensor<4xf32, #partial> {
  %0 = tpc.reshard %x : (tensor<4xf32, #whole>) -> tensor<4xf32, #partial>
  // expected-error @below {{assigned form: result 0 is partial}}
  return %0 : tensor<4xf32, #partial>
}

// -----

// The boundary of the blocks is not one of the factors: 3 rows of 2 over 2.
tpc.mesh @mesh <"tp" = 2>
#split = #tpc.sharding<@mesh, [{"tp"}]>
#rows = #tpc.sharding<@mesh, [{"tp"}, {}]>
func.func @reshape(%x: tensor<6xf32, #split>) -> tensor<3x2xf32, #rows> {
  // expected-error @below {{is not local under its shardings}}
  %0 = tpc.reshape %x : (tensor<6xf32, #split>) -> tensor<3x2xf32, #rows>
  return %0 : tensor<3x2xf32, #rows>
}

// -----

// 7 over a=2, b=2 has blocks of 4, then 2; 14 has blocks of 7, then 4.
tpc.mesh @mesh <"a" = 2, "b" = 2>
#outer = #tpc.sharding<@mesh, [{"a", "b"}, {}]>
#flat = #tpc.sharding<@mesh, [{"a", "b"}]>
func.func @reshape(%x: tensor<7x2xf32, #outer>) -> tensor<14xf32, #flat> {
  // expected-error @below {{is not local under its shardings}}
  %0 = tpc.reshape %x : (tensor<7x2xf32, #outer>) -> tensor<14xf32, #flat>
  return %0 : tensor<14xf32, #flat>
}
