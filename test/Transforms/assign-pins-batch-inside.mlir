// RUN: tpc-opt %s --tpc-assign-sharding | FileCheck %s --check-prefix=FREE
// RUN: tpc-opt %s --tpc-assign-sharding='pins=dp=batch' | FileCheck %s

// One row: the product is worth splitting along its other dimensions, but not by
// an axis of the batch, also where nothing that is stored were split.

// FREE: func.func
// FREE: tpc.matmul {{.*}}"dp"
// CHECK: func.func
// CHECK-NOT: "dp"
tpc.mesh @mesh <"dp" = 2>
tpc.parameter @w : tensor<2048x2048xf32>
func.func @main(%x: tensor<1x2048x2048xf32>) -> tensor<1x2048x2048xf32> {
  %w = tpc.read @w : tensor<2048x2048xf32>
  %y = tpc.matmul %x, %w "b s e, e f -> b s f" : (tensor<1x2048x2048xf32>, tensor<2048x2048xf32>) -> tensor<1x2048x2048xf32>
  return %y : tensor<1x2048x2048xf32>
}
