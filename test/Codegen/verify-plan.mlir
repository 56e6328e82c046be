// RUN: tpc-opt %s -split-input-file -verify-diagnostics -tpc-verify-plan

// What the verifier accepts, and one plan for each thing that it refuses.

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
plan.kernel_func @k_in_place(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 in_place [0, 0] {
  %y = tpc.exp %a : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.kernel_func @update(%u: tensor<2x4xf32>, %at: tensor<2xi64>, %s: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 2 updates 1 {
  %y = tpc.update_slice %s, %u, %at : (tensor<4x4xf32>, tensor<2x4xf32>, tensor<2xi64>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.program @p of @main.spmd arena 192 {
  %x = plan.input 0 at <arena + 0> : tensor<4x4xf32>
  %a = plan.kernel @k(%x) at [<arena + 64>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %b = plan.kernel @k_in_place(%a) at [<arena + 64>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %b : tensor<4x4xf32>
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
plan.kernel_func @k_in_place(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 in_place [0, 0] {
  %y = tpc.exp %a : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.kernel_func @update(%u: tensor<2x4xf32>, %at: tensor<2xi64>, %s: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 2 updates 1 {
  %y = tpc.update_slice %s, %u, %at : (tensor<4x4xf32>, tensor<2x4xf32>, tensor<2xi64>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.program @p of @main.spmd arena 192 {
  %x = plan.input 0 at <arena + 0> : tensor<4x4xf32>
  %a = plan.kernel @k(%x) at [<arena + 64>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %v = plan.view %a from 8 : (tensor<4x4xf32>) -> tensor<2x4xf32>
  %c = plan.constant dense<0> : tensor<2xi64> : tensor<2xi64>
  %s = plan.state @s : tensor<4x4xf32>
  %u = plan.kernel @update(%v, %c) updates(%s) at [<state @s + 0>] : (tensor<2x4xf32>, tensor<2xi64>, tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.write @s, %u : tensor<4x4xf32>
  plan.return %a : tensor<4x4xf32>
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
plan.kernel_func @k_in_place(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 in_place [0, 0] {
  %y = tpc.exp %a : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.kernel_func @update(%u: tensor<2x4xf32>, %at: tensor<2xi64>, %s: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 2 updates 1 {
  %y = tpc.update_slice %s, %u, %at : (tensor<4x4xf32>, tensor<2x4xf32>, tensor<2xi64>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.program @p of @main.spmd arena 256 {
  %x = plan.input 0 at <arena + 0> : tensor<4x4xf32>
  // expected-note@+1 {{the value is made here}}
  %a = plan.kernel @k(%x) at [<arena + 64>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-note@+1 {{by plan.kernel, byte 0}}
  %b = plan.kernel @k(%x) at [<arena + 96>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-error@+1 {{reads plan.kernel at byte 96 of arena, where it was overwritten}}
  %c = plan.kernel @k(%a) at [<arena + 192>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %c : tensor<4x4xf32>
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
plan.kernel_func @k_in_place(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 in_place [0, 0] {
  %y = tpc.exp %a : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.kernel_func @update(%u: tensor<2x4xf32>, %at: tensor<2xi64>, %s: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 2 updates 1 {
  %y = tpc.update_slice %s, %u, %at : (tensor<4x4xf32>, tensor<2x4xf32>, tensor<2xi64>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.program @p of @main.spmd arena 256 {
  %x = plan.input 0 at <arena + 0> : tensor<4x4xf32>
  // expected-note@+1 {{the operand is made here}}
  %a = plan.kernel @k(%x) at [<arena + 64>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-error@+1 {{result 0 overlaps operand 0 and the step may not work in place}}
  %b = plan.kernel @k_in_place(%a) at [<arena + 96>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %b : tensor<4x4xf32>
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
plan.kernel_func @k_in_place(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 in_place [0, 0] {
  %y = tpc.exp %a : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.kernel_func @update(%u: tensor<2x4xf32>, %at: tensor<2xi64>, %s: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 2 updates 1 {
  %y = tpc.update_slice %s, %u, %at : (tensor<4x4xf32>, tensor<2x4xf32>, tensor<2xi64>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.program @p of @main.spmd arena 256 {
  %x = plan.input 0 at <arena + 0> : tensor<4x4xf32>
  // expected-note@+1 {{the operand is made here}}
  %a = plan.kernel @k(%x) at [<arena + 64>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-error@+1 {{result 0 overlaps operand 0 and the step may not work in place}}
  %b = plan.kernel @k(%a) at [<arena + 64>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %b : tensor<4x4xf32>
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
plan.kernel_func @k_in_place(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 in_place [0, 0] {
  %y = tpc.exp %a : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.kernel_func @update(%u: tensor<2x4xf32>, %at: tensor<2xi64>, %s: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 2 updates 1 {
  %y = tpc.update_slice %s, %u, %at : (tensor<4x4xf32>, tensor<2x4xf32>, tensor<2xi64>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.program @p of @main.spmd arena 256 {
  // expected-note@+1 {{this one}}
  %x = plan.input 0 at <arena + 0> : tensor<4x4xf32>
  // expected-error@+1 {{writes an input}}
  %a = plan.kernel @k_in_place(%x) at [<arena + 0>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %a : tensor<4x4xf32>
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
plan.kernel_func @k_in_place(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 in_place [0, 0] {
  %y = tpc.exp %a : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.kernel_func @update(%u: tensor<2x4xf32>, %at: tensor<2xi64>, %s: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 2 updates 1 {
  %y = tpc.update_slice %s, %u, %at : (tensor<4x4xf32>, tensor<2x4xf32>, tensor<2xi64>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.program @p of @main.spmd arena 96 {
  %x = plan.input 0 at <arena + 0> : tensor<4x4xf32>
  // expected-error@+1 {{bytes [64, 128) leave a memory of 96}}
  %a = plan.kernel @k(%x) at [<arena + 64>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %a : tensor<4x4xf32>
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
plan.kernel_func @k_in_place(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 in_place [0, 0] {
  %y = tpc.exp %a : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.kernel_func @update(%u: tensor<2x4xf32>, %at: tensor<2xi64>, %s: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 2 updates 1 {
  %y = tpc.update_slice %s, %u, %at : (tensor<4x4xf32>, tensor<2x4xf32>, tensor<2xi64>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.program @p of @main.spmd arena 96 {
  %x = plan.input 0 at <arena + 0> : tensor<4x4xf32>
  // expected-error@+1 {{result has no place; run tpc-allocate-buffers}}
  %a = plan.kernel @k(%x) : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %a : tensor<4x4xf32>
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
plan.kernel_func @k_in_place(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 in_place [0, 0] {
  %y = tpc.exp %a : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.kernel_func @update(%u: tensor<2x4xf32>, %at: tensor<2xi64>, %s: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 2 updates 1 {
  %y = tpc.update_slice %s, %u, %at : (tensor<4x4xf32>, tensor<2x4xf32>, tensor<2xi64>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.program @p of @main.spmd arena 64 {
  %x = plan.input 0 at <arena + 0> : tensor<4x4xf32>
  %w = plan.parameter @w : tensor<4x4xf32>
  // expected-error@+1 {{returns plan.parameter, which is not in the arena}}
  plan.return %w : tensor<4x4xf32>
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
plan.kernel_func @k_in_place(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 in_place [0, 0] {
  %y = tpc.exp %a : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.kernel_func @update(%u: tensor<2x4xf32>, %at: tensor<2xi64>, %s: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 2 updates 1 {
  %y = tpc.update_slice %s, %u, %at : (tensor<4x4xf32>, tensor<2x4xf32>, tensor<2xi64>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.program @p of @main.spmd arena 64 {
  %x = plan.input 0 at <arena + 0> : tensor<4x4xf32>
  // expected-error@+1 {{writes to parameter}}
  %a = plan.kernel @k(%x) at [<parameter @w + 0>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
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
plan.kernel_func @k_in_place(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 in_place [0, 0] {
  %y = tpc.exp %a : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.kernel_func @update(%u: tensor<2x4xf32>, %at: tensor<2xi64>, %s: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 2 updates 1 {
  %y = tpc.update_slice %s, %u, %at : (tensor<4x4xf32>, tensor<2x4xf32>, tensor<2xi64>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.program @p of @main.spmd arena 192 {
  %x = plan.input 0 at <arena + 0> : tensor<4x4xf32>
  %a = plan.kernel @k(%x) at [<arena + 64>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-error@+1 {{the value is not in the memory of @s}}
  plan.write @s, %a : tensor<4x4xf32>
  plan.return %a : tensor<4x4xf32>
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
plan.kernel_func @k_in_place(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 in_place [0, 0] {
  %y = tpc.exp %a : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.kernel_func @update(%u: tensor<2x4xf32>, %at: tensor<2xi64>, %s: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 2 updates 1 {
  %y = tpc.update_slice %s, %u, %at : (tensor<4x4xf32>, tensor<2x4xf32>, tensor<2xi64>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.program @p of @main.spmd arena 192 {
  %x = plan.input 0 at <arena + 0> : tensor<4x4xf32>
  // expected-note@+1 {{the value is made here}}
  %s = plan.state @s : tensor<4x4xf32>
  // expected-note@+1 {{by plan.kernel, byte 0}}
  %a = plan.kernel @k(%x) at [<state @s + 0>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %b = plan.kernel @k(%a) at [<arena + 64>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-error@+1 {{reads plan.state at byte 0 of state, where it was overwritten}}
  plan.return %b : tensor<4x4xf32>
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
plan.kernel_func @k_in_place(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 in_place [0, 0] {
  %y = tpc.exp %a : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.kernel_func @update(%u: tensor<2x4xf32>, %at: tensor<2xi64>, %s: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 2 updates 1 {
  %y = tpc.update_slice %s, %u, %at : (tensor<4x4xf32>, tensor<2x4xf32>, tensor<2xi64>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.program @p of @main.spmd arena 192 {
  %x = plan.input 0 at <arena + 0> : tensor<4x4xf32>
  %v = plan.view %x from 8 : (tensor<4x4xf32>) -> tensor<2x4xf32>
  %c = plan.constant dense<0> : tensor<2xi64> : tensor<2xi64>
  %s = plan.state @s : tensor<4x4xf32>
  // expected-error@+1 {{result 0 is an update but lies elsewhere than the updated value}}
  %u = plan.kernel @update(%v, %c) updates(%s) at [<arena + 64>] : (tensor<2x4xf32>, tensor<2xi64>, tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %u : tensor<4x4xf32>
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
plan.kernel_func @k_in_place(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 in_place [0, 0] {
  %y = tpc.exp %a : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.kernel_func @update(%u: tensor<2x4xf32>, %at: tensor<2xi64>, %s: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 2 updates 1 {
  %y = tpc.update_slice %s, %u, %at : (tensor<4x4xf32>, tensor<2x4xf32>, tensor<2xi64>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.program @p of @main.spmd arena 256 {
  %x = plan.input 0 at <arena + 0> : tensor<4x4xf32>
  // expected-note@+1 {{the operand is made here}}
  %a = plan.kernel @k(%x) at [<arena + 64>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-error@+1 {{result 0 overlaps operand 0 and the step may not work in place}}
  %b = plan.collective permute sum %a over @mesh{"tp"} sources [1, 0] at <arena + 64> : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.return %b : tensor<4x4xf32>
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
plan.kernel_func @k_in_place(%a: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 1 in_place [0, 0] {
  %y = tpc.exp %a : (tensor<4x4xf32>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.kernel_func @update(%u: tensor<2x4xf32>, %at: tensor<2xi64>, %s: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 2 updates 1 {
  %y = tpc.update_slice %s, %u, %at : (tensor<4x4xf32>, tensor<2x4xf32>, tensor<2xi64>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}
plan.program @p of @main.spmd arena 256 {
  %x = plan.input 0 at <arena + 0> : tensor<4x4xf32>
  // expected-note@+1 {{the value is made here}}
  %a = plan.kernel @k(%x) at [<arena + 64>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-note@+1 {{by plan.kernel, byte 0}}
  %b = plan.kernel @k(%x) at [<arena + 64>] : (tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-error@+1 {{reads plan.kernel at byte 64 of arena, where it was overwritten}}
  plan.return %a : tensor<4x4xf32>
}

// -----

// Attention never works in place.
tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<1x4x1x1x4xf32>) -> tensor<1x4x1x1x4xf32>
spmd.program @main.spmd of @main(%x: tensor<1x4x1x1x4xf32>) -> tensor<1x4x1x1x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>] results [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>] {
  spmd.return %x : tensor<1x4x1x1x4xf32>
}
plan.kernel_func @k(%a: tensor<1x4x1x1x4xf32>) -> tensor<1x4x1x1x4xf32> tiles 1 {
  plan.yield %a : tensor<1x4x1x1x4xf32>
}
plan.program @p of @main.spmd arena 192 {
  %x = plan.input 0 at <arena + 0> : tensor<1x4x1x1x4xf32>
  // expected-note@+1 {{the operand is made here}}
  %a = plan.kernel @k(%x) at [<arena + 64>] : (tensor<1x4x1x1x4xf32>) -> tensor<1x4x1x1x4xf32>
  // expected-error@+1 {{result 0 overlaps operand 0 and the step may not work in place}}
  %b = plan.attention %a [0, 16, 4, 4, 4], %x [0, 16, 4, 4], %x [0, 16, 4, 4] sizes [1, 4, 4, 1, 1, 4, 4] scale 0.5 at <arena + 64> : (tensor<1x4x1x1x4xf32>, tensor<1x4x1x1x4xf32>, tensor<1x4x1x1x4xf32>) -> tensor<1x4x1x1x4xf32>
  plan.return %b : tensor<1x4x1x1x4xf32>
}

// -----

// Nor does it write an input.
tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<1x4x1x1x4xf32>, %y: tensor<1x4x1x1x4xf32>) -> tensor<1x4x1x1x4xf32>
spmd.program @main.spmd of @main(%x: tensor<1x4x1x1x4xf32>, %y: tensor<1x4x1x1x4xf32>) -> tensor<1x4x1x1x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>] results [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>] {
  spmd.return %x : tensor<1x4x1x1x4xf32>
}
plan.program @p of @main.spmd arena 192 {
  %x = plan.input 0 at <arena + 0> : tensor<1x4x1x1x4xf32>
  // expected-note@+1 {{this one}}
  %y = plan.input 1 at <arena + 64> : tensor<1x4x1x1x4xf32>
  // expected-error@+1 {{writes an input}}
  %b = plan.attention %x [0, 16, 4, 4, 4], %x [0, 16, 4, 4], %x [0, 16, 4, 4] sizes [1, 4, 4, 1, 1, 4, 4] scale 0.5 at <arena + 64> : (tensor<1x4x1x1x4xf32>, tensor<1x4x1x1x4xf32>, tensor<1x4x1x1x4xf32>) -> tensor<1x4x1x1x4xf32>
  plan.return %b : tensor<1x4x1x1x4xf32>
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
plan.program @p of @main.spmd arena 192 {
  %x = plan.input 0 at <arena + 0> : tensor<4x4xf32>
  // A matmul does not work in place, whatever dies there.
  %u = plan.matmul %x, %x sizes [4, 4, 4] a [0, 4, 1] b [0, 4, 1] c [4, 1] batch [] strides [] [] [] at <arena + 64> : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-note@+1 {{the operand is made here}}
  %b = plan.view %u from 4 : (tensor<4x4xf32>) -> tensor<4xf32>
  // expected-error@+1 {{result 0 overlaps operand 2 and the step may not work in place}}
  %y = plan.matmul %x, %x sizes [4, 4, 4] a [0, 4, 1] b [0, 4, 1] c [4, 1] batch [] strides [] [] [] bias %b at <arena + 64> : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  plan.return %y : tensor<4x4xf32>
}
