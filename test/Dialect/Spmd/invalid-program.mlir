// Every constraint of programs, and of reads inside them.
// RUN: tpc-opt %s -split-input-file -verify-diagnostics

tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<10xf32>) -> tensor<10xf32> { return %x : tensor<10xf32> }
// expected-error @+1 {{C1: no function @nothing}}
spmd.program @p of @nothing(%x: tensor<3xf32>) -> tensor<3xf32>
    args [#tpc.sharding<@mesh, [{"tp"}]>] results [#tpc.sharding<@mesh, [{"tp"}]>] {
  spmd.return %x : tensor<3xf32>
}

// -----

tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<10xf32>) -> tensor<10xf32> { return %x : tensor<10xf32> }
// expected-error @+1 {{C1: expected 1 arguments with a sharding each, found 0 with 0 shardings}}
spmd.program @p of @main() -> tensor<3xf32> args [] results [#tpc.sharding<@mesh, [{"tp"}]>] {
  %0 = tpc.iota dim 0 : tensor<3xf32>
  spmd.return %0 : tensor<3xf32>
}

// -----

tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<10xf32>) -> tensor<10xf32> { return %x : tensor<10xf32> }
// expected-error @+1 {{C1: expected 1 arguments with a sharding each, found 1 with 0 shardings}}
spmd.program @p of @main(%x: tensor<3xf32>) -> tensor<3xf32>
    args [] results [#tpc.sharding<@mesh, [{"tp"}]>] {
  spmd.return %x : tensor<3xf32>
}

// -----

tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<10xf32>) -> tensor<10xf32> { return %x : tensor<10xf32> }
// expected-error @+1 {{C1: expected 1 results with a sharding each, found 1 with 0 shardings}}
spmd.program @p of @main(%x: tensor<3xf32>) -> tensor<3xf32>
    args [#tpc.sharding<@mesh, [{"tp"}]>] results [] {
  spmd.return %x : tensor<3xf32>
}

// -----

tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<10xf32>) -> tensor<10xf32> { return %x : tensor<10xf32> }
// expected-error @+1 {{C2: argument 0 needs a sharding of its rank}}
spmd.program @p of @main(%x: tensor<3xf32>) -> tensor<3xf32>
    args [1 : i32] results [#tpc.sharding<@mesh, [{"tp"}]>] {
  spmd.return %x : tensor<3xf32>
}

// -----

tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<10xf32>) -> tensor<10xf32> { return %x : tensor<10xf32> }
// expected-error @+1 {{C2: argument 0 needs a sharding of its rank}}
spmd.program @p of @main(%x: tensor<3xf32>) -> tensor<3xf32>
    args [#tpc.sharding<@mesh, []>] results [#tpc.sharding<@mesh, [{"tp"}]>] {
  spmd.return %x : tensor<3xf32>
}

// -----

tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<10xf32>) -> tensor<10xf32> { return %x : tensor<10xf32> }
// expected-error @+1 {{C2: argument 0: unknown mesh axis "pp"; the mesh has: tp}}
spmd.program @p of @main(%x: tensor<3xf32>) -> tensor<3xf32>
    args [#tpc.sharding<@mesh, [{"pp"}]>] results [#tpc.sharding<@mesh, [{"tp"}]>] {
  spmd.return %x : tensor<3xf32>
}

// -----

tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<10xf32>) -> tensor<10xf32> { return %x : tensor<10xf32> }
// expected-error @+1 {{C2: result 0: expected mesh @mesh, found @other}}
spmd.program @p of @main(%x: tensor<3xf32>) -> tensor<3xf32>
    args [#tpc.sharding<@mesh, [{"tp"}]>] results [#tpc.sharding<@other, [{}]>] {
  spmd.return %x : tensor<3xf32>
}

// -----

tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<10xf32>) -> tensor<10xf32> { return %x : tensor<10xf32> }
// expected-error @+1 {{C2: argument 0: expected the local type 'tensor<10xf32>', found 'tensor<3xf32>'}}
spmd.program @p of @main(%x: tensor<3xf32>) -> tensor<3xf32>
    args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{"tp"}]>] {
  spmd.return %x : tensor<3xf32>
}

// -----

tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<10xf32>) -> tensor<10xf32> { return %x : tensor<10xf32> }
// expected-error @+1 {{C3: argument 0 is partial}}
spmd.program @p of @main(%x: tensor<10xf32>) -> tensor<10xf32>
    args [#tpc.sharding<@mesh, [{}], sum {"tp"}>] results [#tpc.sharding<@mesh, [{}]>] {
  spmd.return %x : tensor<10xf32>
}

// -----

tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<10xf32>) -> tensor<10xf32> { return %x : tensor<10xf32> }
// expected-error @+1 {{C3: result 0 is partial}}
spmd.program @p of @main(%x: tensor<10xf32>) -> tensor<10xf32>
    args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}], sum {"tp"}>] {
  spmd.return %x : tensor<10xf32>
}

// -----

tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<10xf32>) -> tensor<10xf32> { return %x : tensor<10xf32> }
// expected-error @+1 {{C4: expected a body of one block}}
spmd.program @p of @main(%x: tensor<3xf32>) -> tensor<3xf32> args [#tpc.sharding<@mesh, [{"tp"}]>] results [#tpc.sharding<@mesh, [{"tp"}]>] {
  spmd.return %x : tensor<3xf32>
^unreachable:
  spmd.return %x : tensor<3xf32>
}

// -----

func.func @main(%x: tensor<10xf32>) -> tensor<10xf32> { return %x : tensor<10xf32> }
// expected-error @+1 {{the module has no mesh}}
spmd.program @p of @main(%x: tensor<3xf32>) -> tensor<3xf32>
    args [#tpc.sharding<@mesh, [{"tp"}]>] results [#tpc.sharding<@mesh, [{"tp"}]>] {
  spmd.return %x : tensor<3xf32>
}

// -----

tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<10xf32>) -> tensor<10xf32> { return %x : tensor<10xf32> }
spmd.program @p of @main(%x: tensor<3xf32>) -> tensor<3xf32>
    args [#tpc.sharding<@mesh, [{"tp"}]>] results [#tpc.sharding<@mesh, [{"tp"}]>] {
  // expected-error @+1 {{C1: operand types are not the program's result types}}
  spmd.return 
}

// -----

func.func @main(%x: tensor<10xf32>) -> tensor<10xf32> { return %x : tensor<10xf32> }
tpc.mesh @mesh <"tp" = 4>
tpc.parameter @w : tensor<10xf32, #tpc.sharding<@mesh, [{"pp"}]>>
spmd.program @p of @main(%x: tensor<3xf32>) -> tensor<3xf32>
    args [#tpc.sharding<@mesh, [{"tp"}]>] results [#tpc.sharding<@mesh, [{"tp"}]>] {
  // expected-error @+1 {{C2: unknown mesh axis "pp"}}
  %0 = tpc.read @w : tensor<3xf32>
  spmd.return %x : tensor<3xf32>
}

// -----

func.func @main(%x: tensor<10xf32>) -> tensor<10xf32> { return %x : tensor<10xf32> }
tpc.mesh @mesh <"tp" = 4>
// expected-note @+1 {{declared here}}
tpc.parameter @w : tensor<10xf32, #tpc.sharding<@mesh, [{"tp"}]>>
spmd.program @p of @main(%x: tensor<3xf32>) -> tensor<3xf32>
    args [#tpc.sharding<@mesh, [{"tp"}]>] results [#tpc.sharding<@mesh, [{"tp"}]>] {
  // expected-error @+1 {{C2: expected type 'tensor<3xf32>', found 'tensor<10xf32>'}}
  %0 = tpc.read @w : tensor<10xf32>
  spmd.return %x : tensor<3xf32>
}
