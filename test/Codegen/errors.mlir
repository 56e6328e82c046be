// RUN: tpc-opt %s -split-input-file -verify-diagnostics -tpc-form-kernels -tpc-emit-kernels

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32>
spmd.program @main.spmd of @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  // expected-error@+1 {{has no plan; the passes before tpc-form-kernels replace it}}
  %y = tpc.softmax %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  spmd.return %y : tensor<4x8xf32>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<4x8xf64>) -> tensor<4x8xf64>
spmd.program @main.spmd of @main(%x: tensor<4x8xf64>) -> tensor<4x8xf64>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  // expected-error@+1 {{has no code for f64; convert to f32}}
  %y = tpc.erf %x : (tensor<4x8xf64>) -> tensor<4x8xf64>
  spmd.return %y : tensor<4x8xf64>
}

// -----

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%x: tensor<3x4x5xf32>, %w: tensor<5x6x2xf32>) -> tensor<3x6x4x2xf32>
spmd.program @main.spmd of @main(%x: tensor<3x4x5xf32>, %w: tensor<5x6x2xf32>) -> tensor<3x6x4x2xf32>
    args [#tpc.sharding<@mesh, [{}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}]>] results [#tpc.sharding<@mesh, [{}, {}, {}, {}]>] {
  // expected-error@+1 {{is no strided matrix product; run tpc-normalize-matmuls before}}
  %y = tpc.matmul %x, %w "m a k, k n b -> m n a b" : (tensor<3x4x5xf32>, tensor<5x6x2xf32>) -> tensor<3x6x4x2xf32>
  spmd.return %y : tensor<3x6x4x2xf32>
}
