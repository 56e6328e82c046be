// Every constraint of communication and of what depends on the device.
// RUN: tpc-opt %s -split-input-file -verify-diagnostics

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C1: unknown mesh axis "pp"; the mesh has: dp, tp}}
  %0 = spmd.all_reduce sum %x over @mesh{"pp"} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C1: expected mesh @mesh, found @other}}
  %0 = spmd.all_reduce sum %x over @other{"tp"} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C1: sub-axis "tp":(1)3 does not divide the axis of size 4}}
  %0 = spmd.all_reduce sum %x over @mesh{"tp":(1)3} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{axes: C1: an axis occurs twice}}
  %0 = spmd.all_reduce sum %x over @mesh{"tp", "tp":(2)2} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{the module has no mesh}}
  %0 = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C2: expected equal types}}
  %0 = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<4xf32>) -> tensor<5xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x2xf32>) {
  // expected-error @+1 {{C1: unknown mesh axis "pp"}}
  %0 = spmd.all_gather %x dim 0 over @mesh{"pp"} : (tensor<3x2xf32>) -> tensor<10x2xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x2xf32>) {
  // expected-error @+1 {{C2: dimension 1 changes from 2 to 3}}
  %0 = spmd.all_gather %x dim 0 over @mesh{"tp"} : (tensor<3x2xf32>) -> tensor<10x3xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x2xf32>) {
  // expected-error @+1 {{C2: expected equal ranks and element types}}
  %0 = spmd.all_gather %x dim 0 over @mesh{"tp"} : (tensor<3x2xf32>) -> tensor<10x2xf64>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x2xf32>) {
  // expected-error @+1 {{C2: no dimension 2}}
  %0 = spmd.all_gather %x dim 2 over @mesh{"tp"} : (tensor<3x2xf32>) -> tensor<10x2xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x2xf32>) {
  // expected-error @+1 {{C2: no dimension -1}}
  %0 = spmd.all_gather %x dim -1 over @mesh{"tp"} : (tensor<3x2xf32>) -> tensor<10x2xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x2xf32>) {
  // expected-error @+1 {{C3: expected 4 along dimension 0 (13 over 4 members), found 3}}
  %0 = spmd.all_gather %x dim 0 over @mesh{"tp"} : (tensor<3x2xf32>) -> tensor<13x2xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<10x2xf32>) {
  // expected-error @+1 {{C1: unknown mesh axis "pp"}}
  %0 = spmd.reduce_scatter sum %x dim 0 over @mesh{"pp"} : (tensor<10x2xf32>) -> tensor<3x2xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<10x2xf32>) {
  // expected-error @+1 {{C2: dimension 1 changes from 2 to 3}}
  %0 = spmd.reduce_scatter sum %x dim 0 over @mesh{"tp"} : (tensor<10x2xf32>) -> tensor<3x3xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<10x2xf32>) {
  // expected-error @+1 {{C2: expected equal ranks and element types}}
  %0 = spmd.reduce_scatter sum %x dim 0 over @mesh{"tp"} : (tensor<10x2xf32>) -> tensor<3x2xf64>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<10x2xf32>) {
  // expected-error @+1 {{C2: no dimension 2}}
  %0 = spmd.reduce_scatter sum %x dim 2 over @mesh{"tp"} : (tensor<10x2xf32>) -> tensor<3x2xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<10x2xf32>) {
  // expected-error @+1 {{C2: no dimension -1}}
  %0 = spmd.reduce_scatter sum %x dim -1 over @mesh{"tp"} : (tensor<10x2xf32>) -> tensor<3x2xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<10x2xf32>) {
  // expected-error @+1 {{C3: expected 3 along dimension 0 (10 over 4 members), found 2}}
  %0 = spmd.reduce_scatter sum %x dim 0 over @mesh{"tp"} : (tensor<10x2xf32>) -> tensor<2x2xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<10x2xf32>) {
  // expected-error @+1 {{C1: unknown mesh axis "pp"}}
  %0 = spmd.slice %x dim 0 over @mesh{"pp"} : (tensor<10x2xf32>) -> tensor<3x2xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<10x2xf32>) {
  // expected-error @+1 {{C2: dimension 1 changes from 2 to 3}}
  %0 = spmd.slice %x dim 0 over @mesh{"tp"} : (tensor<10x2xf32>) -> tensor<3x3xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<10x2xf32>) {
  // expected-error @+1 {{C2: expected equal ranks and element types}}
  %0 = spmd.slice %x dim 0 over @mesh{"tp"} : (tensor<10x2xf32>) -> tensor<3x2xf64>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<10x2xf32>) {
  // expected-error @+1 {{C2: no dimension 2}}
  %0 = spmd.slice %x dim 2 over @mesh{"tp"} : (tensor<10x2xf32>) -> tensor<3x2xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<10x2xf32>) {
  // expected-error @+1 {{C2: no dimension -1}}
  %0 = spmd.slice %x dim -1 over @mesh{"tp"} : (tensor<10x2xf32>) -> tensor<3x2xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<10x2xf32>) {
  // expected-error @+1 {{C3: expected 3 along dimension 0 (10 over 4 members), found 4}}
  %0 = spmd.slice %x dim 0 over @mesh{"tp"} : (tensor<10x2xf32>) -> tensor<4x2xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x6x5xf32>) {
  // expected-error @+1 {{C1: unknown mesh axis "pp"}}
  %0 = spmd.all_to_all %x split 1 concat 0 over @mesh{"pp"} : (tensor<3x6x5xf32>) -> tensor<10x2x5xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x6x5xf32>) {
  // expected-error @+1 {{C2: split and concat dimension are the same}}
  %0 = spmd.all_to_all %x split 1 concat 1 over @mesh{"tp"} : (tensor<3x6x5xf32>) -> tensor<10x2x5xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x6x5xf32>) {
  // expected-error @+1 {{C2: no dimension 3}}
  %0 = spmd.all_to_all %x split 3 concat 0 over @mesh{"tp"} : (tensor<3x6x5xf32>) -> tensor<10x2x5xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x6x5xf32>) {
  // expected-error @+1 {{C2: dimension 2 changes from 5 to 6}}
  %0 = spmd.all_to_all %x split 1 concat 0 over @mesh{"tp"} : (tensor<3x6x5xf32>) -> tensor<10x2x6xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x6x5xf32>) {
  // expected-error @+1 {{C2: expected equal ranks and element types}}
  %0 = spmd.all_to_all %x split 1 concat 0 over @mesh{"tp"} : (tensor<3x6x5xf32>) -> tensor<10x2x5xf64>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x6x5xf32>) {
  // expected-error @+1 {{C3: expected 4 along dimension 0 (13 over 4 members), found 3}}
  %0 = spmd.all_to_all %x split 1 concat 0 over @mesh{"tp"} : (tensor<3x6x5xf32>) -> tensor<13x2x5xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x6x5xf32>) {
  // expected-error @+1 {{C3: expected 2 along dimension 1 (6 over 4 members), found 3}}
  %0 = spmd.all_to_all %x split 1 concat 0 over @mesh{"tp"} : (tensor<3x6x5xf32>) -> tensor<10x3x5xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C1: unknown mesh axis "pp"}}
  %0 = spmd.permute %x sources [1, 0] over @mesh{"pp"} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C2: expected equal types}}
  %0 = spmd.permute %x sources [1, 0, 2, 3] over @mesh{"tp"} : (tensor<4xf32>) -> tensor<5xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C3: expected a permutation of 4 members}}
  %0 = spmd.permute %x sources [1, 0] over @mesh{"tp"} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C3: expected a permutation of 4 members}}
  %0 = spmd.permute %x sources [1, 0, 2, 4] over @mesh{"tp"} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f() {
  // expected-error @+1 {{C1: unknown mesh axis "pp"}}
  %0 = spmd.device_index over @mesh{"pp"} : tensor<i64>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f() {
  // expected-error @+1 {{C2: expected the result tensor<i64>, found 'tensor<i32>'}}
  %0 = spmd.device_index over @mesh{"tp"} : tensor<i32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f() {
  // expected-error @+1 {{C2: expected the result tensor<i64>, found 'tensor<1xi64>'}}
  %0 = spmd.device_index over @mesh{"tp"} : tensor<1xi64>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f() {
  // expected-error @+1 {{C1: unknown mesh axis "pp"}}
  %0 = spmd.block_start of 10 over @mesh{"pp"} : tensor<i64>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f() {
  // expected-error @+1 {{C2: expected the result tensor<i64>, found 'tensor<i32>'}}
  %0 = spmd.block_start of 10 over @mesh{"tp"} : tensor<i32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f() {
  // expected-error @+1 {{C2: negative size}}
  %0 = spmd.block_start of -1 over @mesh{"tp"} : tensor<i64>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x6xf32>) {
  // expected-error @+1 {{C1: the whole type carries no sharding}}
  %0 = spmd.mask %x with 0.0 dims [0] of tensor<10x6xf32> : (tensor<3x6xf32>) -> tensor<3x6xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x6xf32>) {
  // expected-error @+1 {{C1: unknown mesh axis "pp"}}
  %0 = spmd.mask %x with 0.0 dims [0] of tensor<10x6xf32, #tpc.sharding<@mesh, [{"pp"}, {}]>> : (tensor<3x6xf32>) -> tensor<3x6xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x6xf32>) {
  // expected-error @+1 {{C1: expected operand and result of type 'tensor<4x6xf32>'}}
  %0 = spmd.mask %x with 0.0 dims [0] of tensor<13x6xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>> : (tensor<3x6xf32>) -> tensor<3x6xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x6xf32>) {
  // expected-error @+1 {{C1: expected operand and result of type 'tensor<3x6xf32>'}}
  %0 = spmd.mask %x with 0.0 dims [0] of tensor<10x6xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>> : (tensor<3x6xf32>) -> tensor<2x6xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x6xf32>) {
  // expected-error @+1 {{C2: expected ascending dimensions below 2}}
  %0 = spmd.mask %x with 0.0 dims [2] of tensor<10x6xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>> : (tensor<3x6xf32>) -> tensor<3x6xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<3x6xf32>) {
  // expected-error @+1 {{C2: expected ascending dimensions below 2}}
  %0 = spmd.mask %x with 0.0 dims [1, 0] of tensor<10x6xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>> : (tensor<3x6xf32>) -> tensor<3x6xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C1: unknown mesh axis "pp"}}
  %0 = spmd.to_partial sum %x over @mesh{"pp"} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

tpc.mesh @mesh <"dp" = 2, "tp" = 4>
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{C2: expected equal types}}
  %0 = spmd.to_partial sum %x over @mesh{"tp"} : (tensor<4xf32>) -> tensor<5xf32>
  return
}
