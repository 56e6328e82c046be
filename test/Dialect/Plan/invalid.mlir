// RUN: tpc-opt %s -split-input-file -verify-diagnostics

// Every labelled constraint of the dialect.

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
// expected-error@+1 {{C1: no spmd.program @other}}
plan.program @p of @other {
  plan.return
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
// expected-error@+1 {{C2: results are not those of @main.spmd}}
plan.program @p of @main.spmd {
  plan.return
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  // expected-error@+1 {{C3: not an argument of @main.spmd}}
  %x = plan.input 1 : tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.kernel_func @f(%a: tensor<4xf32>) -> tensor<4xf32> tiles 1 {
  // expected-error@+1 {{C1: not a tpc operation}}
  %c = plan.constant dense<1.0> : tensor<4xf32> : tensor<4xf32>
  plan.yield %c : tensor<4xf32>
}

// -----

plan.kernel_func @f(%a: tensor<4xf32>) -> tensor<2xf32> tiles 1 {
  // expected-error@+1 {{C1: operand types are not the result types}}
  plan.yield %a : tensor<4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
// expected-error@+1 {{C2: more updates than arguments or results}}
plan.kernel_func @f(%a: tensor<4xf32>) -> tensor<4xf32> tiles 1 updates 2 {
  plan.yield %a : tensor<4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
// expected-error@+1 {{C3: result 0 and argument 1 cannot share memory}}
plan.kernel_func @f(%a: tensor<4xf32>) -> tensor<4xf32> tiles 1 in_place [0, 1] {
  plan.yield %a : tensor<4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C1: no tpc.parameter @s}}
  %w = plan.parameter @s : tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C1: expected the local type 'tensor<4x4xf32>', found 'tensor<4xf32>'}}
  %w = plan.state @s : tensor<4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C1: no tpc.state @w}}
  plan.write @w, %x : tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C1: the value has type 'tensor<1xf32>'}}
  %c = plan.constant dense<1.0> : tensor<1xf32> : tensor<4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C1: expected the result tensor<i64>}}
  %c = plan.device_scalar [0, 1] : tensor<i32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C2: expected 2 values, found 1}}
  %c = plan.device_scalar [0] : tensor<i64>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C2: elements [8, 24) of 16}}
  %v = plan.view %x from 8 : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C1: element types differ}}
  %v = plan.view %x from 0 : (tensor<4x4xf32>) -> tensor<4x4xi32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C1: no plan.kernel_func @none}}
  %y = plan.kernel @none(%x) : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.kernel_func @k(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 {
  plan.yield %a : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C1: @k has type}}
  %y = plan.kernel @k(%x, %x) : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.kernel_func @k(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 {
  plan.yield %a : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C2: expected 1 places, found 2}}
  %y = plan.kernel @k(%x) at [<arena + 0>, <arena + 64>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C1: wrong number of sizes or strides}}
  %y = plan.matmul %x, %x sizes [4, 4] a [0, 4, 1] b [0, 4, 1] c [4, 1] batch [] strides [] [] [] : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C2: elements [0, 27] of a, which has 16}}
  %y = plan.matmul %x, %x sizes [4, 4, 4] a [0, 8, 1] b [0, 4, 1] c [4, 1] batch [] strides [] [] [] : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C3: no product of 'f32' and 'f32' as 'f64'}}
  %y = plan.matmul %x, %x sizes [4, 4, 4] a [0, 4, 1] b [0, 4, 1] c [4, 1] batch [] strides [] [] [] : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf64>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C4: b is not a parameter}}
  %y = plan.matmul %x, %x sizes [4, 4, 4] a [0, 4, 1] b [0, 4, 1] c [4, 1] batch [] strides [] [] [] pack_b : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C1: }}
  %y = plan.collective all_reduce sum %x over @mesh{"dp"} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C2: all_gather over 2 members}}
  %y = plan.collective all_gather sum %x over @mesh{"tp"} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C3: expected a permutation of the members}}
  %y = plan.collective permute sum %x over @mesh{"tp"} sources [0, 0] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  // expected-error@+1 {{C2: arena has no symbol}}
  %x = plan.input 0 at <arena @s + 0> : tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  // expected-error@+1 {{C1: negative offset}}
  %x = plan.input 0 at <arena + -4> : tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C1: wrong number of sizes or strides, or a negative size}}
  %y = plan.attention %x [0, 16, 4, 4, 4], %x [0, 16, 4, 4], %x [0, 16, 4, 4] sizes [1, 4, 4, 1, 4, 4] scale 0.5 : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<1x4x1x1x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C1: wrong number of sizes or strides, or a negative size}}
  %y = plan.attention %x [0, 16, 4, 4, 4], %x [0, 16, 4], %x [0, 16, 4, 4] sizes [1, 4, 4, 1, 1, 4, 4] scale 0.5 : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<1x4x1x1x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C1: wrong number of sizes or strides, or a negative size}}
  %y = plan.attention %x [0, 16, 4, 4, 4], %x [0, 16, 4, 4], %x [0, 16, 4, 4] sizes [1, 4, -4, 1, 1, 4, 4] scale 0.5 : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<1x4x1x1x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C2: expected a result of [1, 4, 1, 1, 4], found 'tensor<4x4xf32>'}}
  %y = plan.attention %x [0, 16, 4, 4, 4], %x [0, 16, 4, 4], %x [0, 16, 4, 4] sizes [1, 4, 4, 1, 1, 4, 4] scale 0.5 : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C3: elements [1, 16] of query, which has 16}}
  %y = plan.attention %x [1, 16, 4, 4, 4], %x [0, 16, 4, 4], %x [0, 16, 4, 4] sizes [1, 4, 4, 1, 1, 4, 4] scale 0.5 : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<1x4x1x1x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C3: elements [-1, 14] of key, which has 16}}
  %y = plan.attention %x [0, 16, 4, 4, 4], %x [-1, 16, 4, 4], %x [0, 16, 4, 4] sizes [1, 4, 4, 1, 1, 4, 4] scale 0.5 : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<1x4x1x1x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C3: elements [0, 18] of value, which has 16}}
  %y = plan.attention %x [0, 16, 4, 4, 4], %x [0, 16, 4, 4], %x [0, 16, 5, 4] sizes [1, 4, 4, 1, 1, 4, 4] scale 0.5 : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<1x4x1x1x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C3: 4 times a stride of 9223372036854775807 of value, which has 16 elements}}
  %y = plan.attention %x [0, 16, 4, 4, 4], %x [0, 16, 4, 4], %x [0, 16, 9223372036854775807, 4] sizes [1, 4, 4, 1, 1, 4, 4] scale 0.5 : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<1x4x1x1x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C3: elements [0, 18] of bias, which has 16}}
  %y = plan.attention %x [0, 16, 4, 4, 4], %x [0, 16, 4, 4], %x [0, 16, 4, 4] bias %x [0, 0, 0, 0, 4, 2] sizes [1, 4, 4, 1, 1, 4, 4] scale 0.5 : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<1x4x1x1x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  %c = plan.constant dense<0.0> : tensor<4x4xbf16> : tensor<4x4xbf16>
  // expected-error@+1 {{C4: no attention of 'f32', 'f32' and 'bf16' as 'f32'}}
  %y = plan.attention %x [0, 16, 4, 4, 4], %x [0, 16, 4, 4], %c [0, 16, 4, 4] sizes [1, 4, 4, 1, 1, 4, 4] scale 0.5 : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xbf16>) -> tensor<1x4x1x1x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  %c = plan.constant dense<0> : tensor<2xi64> : tensor<2xi64>
  // expected-error@+1 {{C5: expected 1 lengths, 1 or 1 offsets and 1 sinks}}
  %y = plan.attention %x [0, 16, 4, 4, 4], %x [0, 16, 4, 4], %x [0, 16, 4, 4] lengths %c sizes [1, 4, 4, 1, 1, 4, 4] scale 0.5 : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<2xi64>) -> tensor<1x4x1x1x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  %c = plan.constant dense<0> : tensor<2xi64> : tensor<2xi64>
  // expected-error@+1 {{C5: expected 1 lengths, 1 or 1 offsets and 1 sinks}}
  %y = plan.attention %x [0, 16, 4, 4, 4], %x [0, 16, 4, 4], %x [0, 16, 4, 4] offset %c sizes [1, 4, 4, 1, 1, 4, 4] scale 0.5 causal : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<2xi64>) -> tensor<1x4x1x1x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C5: expected 1 lengths, 1 or 1 offsets and 1 sinks}}
  %y = plan.attention %x [0, 16, 4, 4, 4], %x [0, 16, 4, 4], %x [0, 16, 4, 4] sinks %x sizes [1, 4, 4, 1, 1, 4, 4] scale 0.5 : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<1x4x1x1x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C6: expected a positive window and softcap}}
  %y = plan.attention %x [0, 16, 4, 4, 4], %x [0, 16, 4, 4], %x [0, 16, 4, 4] sizes [1, 4, 4, 1, 1, 4, 4] scale 0.5 window 0 : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<1x4x1x1x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C6: expected a positive window and softcap}}
  %y = plan.attention %x [0, 16, 4, 4, 4], %x [0, 16, 4, 4], %x [0, 16, 4, 4] sizes [1, 4, 4, 1, 1, 4, 4] scale 0.5 softcap -1.0 : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<1x4x1x1x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>, %i: tensor<4x2xi64>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>, %i: tensor<4x2xi64>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  %i = plan.input 1 : tensor<4x2xi64>
  // expected-error@+1 {{C1: wrong number of sizes or strides, or a negative size}}
  %y = plan.grouped_matmul %x, %i, %x [0, 8, 2, 1] sizes [4, 2, 2, 4] : (tensor<4x4xf32>, tensor<4x2xi64>, tensor<4x4xf32>) -> tensor<4x2x2xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>, %i: tensor<4x2xi64>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>, %i: tensor<4x2xi64>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  %i = plan.input 1 : tensor<4x2xi64>
  // expected-error@+1 {{C1: wrong number of sizes or strides, or a negative size}}
  %y = plan.grouped_matmul %x, %i, %x [0, 8, 2] sizes [4, 2, 2, 4, 2] : (tensor<4x4xf32>, tensor<4x2xi64>, tensor<4x4xf32>) -> tensor<4x2x2xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>, %i: tensor<4x2xi64>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>, %i: tensor<4x2xi64>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  %i = plan.input 1 : tensor<4x2xi64>
  // expected-error@+1 {{C1: wrong number of sizes or strides, or a negative size}}
  %y = plan.grouped_matmul %x, %i, %x [0, 8, 2, 1] sizes [4, 2, -2, 4, 2] : (tensor<4x4xf32>, tensor<4x2xi64>, tensor<4x4xf32>) -> tensor<4x2x2xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>, %i: tensor<4x2xi64>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>, %i: tensor<4x2xi64>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  %i = plan.input 1 : tensor<4x2xi64>
  // expected-error@+1 {{C2: expected 16 or 32 elements of rows, 8 choices and 16 results, found 16, 8 and 8}}
  %y = plan.grouped_matmul %x, %i, %x [0, 8, 2, 1] sizes [4, 2, 2, 4, 2] : (tensor<4x4xf32>, tensor<4x2xi64>, tensor<4x4xf32>) -> tensor<4x2xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>, %i: tensor<4x2xi64>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>, %i: tensor<4x2xi64>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  %i = plan.input 1 : tensor<4x2xi64>
  // expected-error@+1 {{C2: expected 9223372036854775807 or 9223372036854775807 elements}}
  %y = plan.grouped_matmul %x, %i, %x [0, 8, 2, 1] sizes [9223372036854775807, 2, 2, 4, 2] : (tensor<4x4xf32>, tensor<4x2xi64>, tensor<4x4xf32>) -> tensor<4x2xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>, %i: tensor<4x2xi64>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>, %i: tensor<4x2xi64>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  %i = plan.input 1 : tensor<4x2xi64>
  // expected-error@+1 {{C3: elements [0, 16] of weights, which has 16}}
  %y = plan.grouped_matmul %x, %i, %x [0, 8, 2, 2] sizes [4, 2, 2, 4, 2] : (tensor<4x4xf32>, tensor<4x2xi64>, tensor<4x4xf32>) -> tensor<4x2x2xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>, %i: tensor<4x2xi64>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>, %i: tensor<4x2xi64>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  %i = plan.input 1 : tensor<4x2xi64>
  // expected-error@+1 {{C4: no product of 'f32' and 'f32' as 'bf16'}}
  %y = plan.grouped_matmul %x, %i, %x [0, 8, 2, 1] sizes [4, 2, 2, 4, 2] : (tensor<4x4xf32>, tensor<4x2xi64>, tensor<4x4xf32>) -> tensor<4x2x2xbf16>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x4xf32>, %i: tensor<4x2xi64>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>, %i: tensor<4x2xi64>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  %i = plan.input 1 : tensor<4x2xi64>
  // expected-error@+1 {{C5: weights are not a parameter}}
  %y = plan.grouped_matmul %x, %i, %x [0, 8, 2, 1] sizes [4, 2, 2, 4, 2] pack : (tensor<4x4xf32>, tensor<4x2xi64>, tensor<4x4xf32>) -> tensor<4x2x2xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  // expected-error@+1 {{C5: expected a bias of 4 elements of 'f32', found 'tensor<4x4xf32>'}}
  %y = plan.matmul %x, %x sizes [4, 4, 4] a [0, 4, 1] b [0, 4, 1] c [4, 1] batch [] strides [] [] [] bias %x : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  %d = plan.constant dense<1.0> : tensor<4xf64> : tensor<4xf64>
  // expected-error@+1 {{C5: expected a bias of 4 elements of 'f32', found 'tensor<4xf64>'}}
  %y = plan.matmul %x, %x sizes [4, 4, 4] a [0, 4, 1] b [0, 4, 1] c [4, 1] batch [] strides [] [] [] bias %d : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4xf64>) -> tensor<4x4xf32>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  spmd.return %x : tensor<4x4xf32>
}
plan.program @p of @main.spmd {
  %x = plan.input 0 : tensor<4x4xf32>
  %d = plan.constant dense<1.0> : tensor<4x4xf64> : tensor<4x4xf64>
  // expected-error@+1 {{C5: expected a result of f32, bf16 or f16 to add a bias to or to activate, found 'f64'}}
  %y = plan.matmul %d, %d sizes [4, 4, 4] a [0, 4, 1] b [0, 4, 1] c [4, 1] batch [] strides [] [] [] activation silu : (tensor<4x4xf64>, tensor<4x4xf64>) -> tensor<4x4xf64>
  plan.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  // expected-error@+1 {{C1: }}
  %y = plan.contract %x, %x "a b c, b c -> a c" : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  spmd.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  // expected-error@+1 {{C2: expected the result to be a c}}
  %y = plan.contract %x, %x "a b, b c -> c a" : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  spmd.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  // expected-error@+1 {{C3: expected operands of 'bf16', found 'tensor<4x4xf32>'}}
  %y = plan.contract %x, %x "a b, b c -> a c" : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xbf16>
  spmd.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  %d = tpc.convert %x : (tensor<4x4xf32>) -> tensor<4x4xf64>
  // expected-error@+1 {{C3: expected f32, bf16 or f16, found 'f64'}}
  %y = plan.contract %d, %d "a b, b c -> a c" : (tensor<4x4xf64>, tensor<4x4xf64>) -> tensor<4x4xf64>
  spmd.return %x : tensor<4x4xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4x4xf32>
tpc.state @s : tensor<4x4xf32>
func.func private @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  // expected-error@+1 {{C4: expected a bias of 4 elements, found 'tensor<4x4xf32>'}}
  %y = plan.contract %x, %x "a b, b c -> a c" bias %x : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  spmd.return %x : tensor<4x4xf32>
}
