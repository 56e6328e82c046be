// RUN: tpc-opt %s -tpc-normalize-matmuls | FileCheck %s

tpc.mesh @mesh <"tp" = 2>
func.func private @main(%q: tensor<2x8x3x1x4xf32>, %k: tensor<2x8x3x4xf32>, %x: tensor<3x4x5xf32>, %w: tensor<5x6x2xf32>)

// CHECK-LABEL: spmd.program @main.spmd
spmd.program @main.spmd of @main(%q: tensor<2x8x3x1x4xf32>, %k: tensor<2x8x3x4xf32>, %x: tensor<3x4x5xf32>, %w: tensor<5x6x2xf32>)
    args [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}]>] results [] {
  // The group dimension has size 1: strides suffice.
  // CHECK-NOT: tpc.transpose
  // CHECK: tpc.matmul %{{.*}}, %{{.*}} "b s k g d, b t k d -> b k g s t"
  %0 = tpc.matmul %q, %k "b s k g d, b t k d -> b k g s t" : (tensor<2x8x3x1x4xf32>, tensor<2x8x3x4xf32>) -> tensor<2x3x1x8x8xf32>
  // m and a, n and b do not merge in the result: it is transposed.
  // CHECK: %[[P:.*]] = tpc.matmul %{{.*}}, %{{.*}} "m a k, k n b -> m a n b"
  // CHECK: tpc.transpose %[[P]] [0, 2, 1, 3]
  %1 = tpc.matmul %x, %w "m a k, k n b -> m n a b" : (tensor<3x4x5xf32>, tensor<5x6x2xf32>) -> tensor<3x6x4x2xf32>
  spmd.return
}
