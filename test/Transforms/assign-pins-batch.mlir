// RUN: tpc-opt %s --tpc-assign-sharding='pins=dp=batch,@x=[{"dp"},{?}],@ids=[{"dp"}]' | FileCheck %s
// RUN: tpc-opt %s --tpc-assign-sharding='pins=dp=batch,@x=[{"dp"},{?}],table=colwise,linear=rowwise' | FileCheck %s --check-prefix=WEIGHTS

// An axis of the batch: it splits rows wherever they are, never a parameter,
// and a gradient is a sum over it.

// WEIGHTS: @table : tensor<64x32xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
// WEIGHTS: @linear : tensor<32x32xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
// CHECK: tpc.mesh
// CHECK-NOT: tpc.parameter{{.*}}"dp"
// CHECK: @cache : tensor<8x32xf32, #tpc.sharding<@mesh, [{"dp"
tpc.mesh @mesh <"dp" = 2, "tp" = 2>
tpc.parameter @table : tensor<64x32xf32>
tpc.parameter @linear : tensor<32x32xf32>
tpc.state @cache : tensor<8x32xf32>
tpc.state @gradient : tensor<32x32xf32>

// CHECK: @gradient
// CHECK-NOT: "dp"
// CHECK: func.func
func.func @main(%x: tensor<8x32xf32> {tpc.name = "x"}, %ids: tensor<8xi64> {tpc.name = "ids"}) -> tensor<8x32xf32> {
  %table = tpc.read @table : tensor<64x32xf32>
  %linear = tpc.read @linear : tensor<32x32xf32>
  // A transposed weight: its rows are columns of what is stored.
  %turned = tpc.transpose %linear [1, 0] : (tensor<32x32xf32>) -> tensor<32x32xf32>
  %e = tpc.embedding %table, %ids : (tensor<64x32xf32>, tensor<8xi64>) -> tensor<8x32xf32>
  // CHECK: tpc.matmul {{.*}} "b e, e f -> b f" : (tensor<8x32xf32, #tpc.sharding<@mesh, [{"dp"}
  %y = tpc.matmul %e, %turned "b e, e f -> b f" : (tensor<8x32xf32>, tensor<32x32xf32>) -> tensor<8x32xf32>
  // CHECK: tpc.matmul {{.*}} "b e, b f -> e f" {{.*}} sum {"dp"
  %g = tpc.matmul %x, %y "b e, b f -> e f" : (tensor<8x32xf32>, tensor<8x32xf32>) -> tensor<32x32xf32>
  tpc.write @cache, %y : tensor<8x32xf32>
  tpc.write @gradient, %g : tensor<32x32xf32>
  return %y : tensor<8x32xf32>
}
