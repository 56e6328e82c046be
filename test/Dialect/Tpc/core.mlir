// Every core operation survives printing and parsing, in pretty and generic form.
// RUN: tpc-opt %s | tpc-opt | FileCheck %s
// RUN: tpc-opt %s --mlir-print-op-generic | tpc-opt | FileCheck %s

// CHECK-LABEL: func.func @creation
func.func @creation() -> (tensor<2x2xf32>, tensor<3xbf16>, tensor<2x3xi64>) {
  // CHECK: tpc.constant dense<{{\[\[}}1.000000e+00, 2.000000e+00], [3.000000e+00, 4.000000e+00]]> : tensor<2x2xf32> : tensor<2x2xf32>
  %0 = tpc.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32> : tensor<2x2xf32>
  // CHECK: tpc.constant dense<5.000000e-01> : tensor<3xbf16> : tensor<3xbf16>
  %1 = tpc.constant dense<0.5> : tensor<3xbf16> : tensor<3xbf16>
  // CHECK: tpc.iota dim 1 : tensor<2x3xi64>
  %2 = tpc.iota dim 1 : tensor<2x3xi64>
  return %0, %1, %2 : tensor<2x2xf32>, tensor<3xbf16>, tensor<2x3xi64>
}

// CHECK-LABEL: func.func @unary
func.func @unary(%x: tensor<4xf32>, %c: tensor<4xi1>) {
  // CHECK: tpc.neg %{{.*}} : (tensor<4xf32>) -> tensor<4xf32>
  %0 = tpc.neg %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: tpc.abs
  %1 = tpc.abs %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: tpc.exp
  %2 = tpc.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: tpc.log
  %3 = tpc.log %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: tpc.sqrt
  %4 = tpc.sqrt %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: tpc.rsqrt
  %5 = tpc.rsqrt %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: tpc.sin
  %6 = tpc.sin %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: tpc.cos
  %7 = tpc.cos %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: tpc.tanh
  %8 = tpc.tanh %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: tpc.erf
  %9 = tpc.erf %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: tpc.not %{{.*}} : (tensor<4xi1>) -> tensor<4xi1>
  %10 = tpc.not %c : (tensor<4xi1>) -> tensor<4xi1>
  return
}

// CHECK-LABEL: func.func @binary
func.func @binary(%x: tensor<4xi32>, %f: tensor<4xf16>, %c: tensor<4xi1>) {
  // CHECK: tpc.add %{{.*}}, %{{.*}} : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  %0 = tpc.add %x, %x : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: tpc.sub
  %1 = tpc.sub %x, %x : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: tpc.mul
  %2 = tpc.mul %x, %x : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: tpc.div
  %3 = tpc.div %x, %x : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: tpc.max
  %4 = tpc.max %x, %x : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: tpc.min
  %5 = tpc.min %x, %x : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  // CHECK: tpc.pow %{{.*}}, %{{.*}} : (tensor<4xf16>, tensor<4xf16>) -> tensor<4xf16>
  %6 = tpc.pow %f, %f : (tensor<4xf16>, tensor<4xf16>) -> tensor<4xf16>
  // CHECK: tpc.and
  %7 = tpc.and %c, %c : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
  // CHECK: tpc.or
  %8 = tpc.or %c, %c : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
  return
}

// CHECK-LABEL: func.func @choice
func.func @choice(%x: tensor<4xf64>, %c: tensor<4xi1>) {
  // CHECK: tpc.compare eq %{{.*}}, %{{.*}} : (tensor<4xf64>, tensor<4xf64>) -> tensor<4xi1>
  %0 = tpc.compare eq %x, %x : (tensor<4xf64>, tensor<4xf64>) -> tensor<4xi1>
  // CHECK: tpc.compare ne
  %1 = tpc.compare ne %x, %x : (tensor<4xf64>, tensor<4xf64>) -> tensor<4xi1>
  // CHECK: tpc.compare lt
  %2 = tpc.compare lt %x, %x : (tensor<4xf64>, tensor<4xf64>) -> tensor<4xi1>
  // CHECK: tpc.compare le
  %3 = tpc.compare le %x, %x : (tensor<4xf64>, tensor<4xf64>) -> tensor<4xi1>
  // CHECK: tpc.compare gt
  %4 = tpc.compare gt %x, %x : (tensor<4xf64>, tensor<4xf64>) -> tensor<4xi1>
  // CHECK: tpc.compare ge
  %5 = tpc.compare ge %x, %x : (tensor<4xf64>, tensor<4xf64>) -> tensor<4xi1>
  // CHECK: tpc.select %{{.*}}, %{{.*}}, %{{.*}} : (tensor<4xi1>, tensor<4xf64>, tensor<4xf64>) -> tensor<4xf64>
  %6 = tpc.select %c, %x, %x : (tensor<4xi1>, tensor<4xf64>, tensor<4xf64>) -> tensor<4xf64>
  // CHECK: tpc.convert %{{.*}} : (tensor<4xf64>) -> tensor<4xi32>
  %7 = tpc.convert %x : (tensor<4xf64>) -> tensor<4xi32>
  return
}

// CHECK-LABEL: func.func @contraction
func.func @contraction(%x: tensor<2x3x4xf32>, %w: tensor<4x5x6xf32>) {
  // CHECK: tpc.matmul %{{.*}}, %{{.*}} "b s e, e h d -> b s h d" : (tensor<2x3x4xf32>, tensor<4x5x6xf32>) -> tensor<2x3x5x6xf32>
  %0 = tpc.matmul %x, %w "b s e, e h d -> b s h d" : (tensor<2x3x4xf32>, tensor<4x5x6xf32>) -> tensor<2x3x5x6xf32>
  // CHECK: tpc.reduce sum %{{.*}} dims [0, 2] : (tensor<2x3x4xf32>) -> tensor<3xf32>
  %1 = tpc.reduce sum %x dims [0, 2] : (tensor<2x3x4xf32>) -> tensor<3xf32>
  // CHECK: tpc.reduce max
  %2 = tpc.reduce max %x dims [1] : (tensor<2x3x4xf32>) -> tensor<2x4xf32>
  // CHECK: tpc.reduce min %{{.*}} dims [0, 1, 2] : (tensor<2x3x4xf32>) -> tensor<f32>
  %3 = tpc.reduce min %x dims [0, 1, 2] : (tensor<2x3x4xf32>) -> tensor<f32>
  // CHECK: tpc.reduce sum %{{.*}} dims [] :
  %4 = tpc.reduce sum %x dims [] : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return
}

// CHECK-LABEL: func.func @shape
func.func @shape(%x: tensor<2x3xf32>, %b: tensor<3xf32>, %i: tensor<2xi32>) {
  // CHECK: tpc.broadcast %{{.*}} dims [1] : (tensor<3xf32>) -> tensor<2x3xf32>
  %0 = tpc.broadcast %b dims [1] : (tensor<3xf32>) -> tensor<2x3xf32>
  // CHECK: tpc.reshape %{{.*}} : (tensor<2x3xf32>) -> tensor<6x1xf32>
  %1 = tpc.reshape %x : (tensor<2x3xf32>) -> tensor<6x1xf32>
  // CHECK: tpc.again %{{.*}} : (tensor<6x1xf32>) -> tensor<6x1xf32>
  %again = tpc.again %1 : (tensor<6x1xf32>) -> tensor<6x1xf32>
  // CHECK: tpc.transpose %{{.*}} [1, 0] : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %2 = tpc.transpose %x [1, 0] : (tensor<2x3xf32>) -> tensor<3x2xf32>
  // CHECK: tpc.slice %{{.*}} [1, 1] : (tensor<2x3xf32>) -> tensor<1x2xf32>
  %3 = tpc.slice %x [1, 1] : (tensor<2x3xf32>) -> tensor<1x2xf32>
  // CHECK: tpc.dynamic_slice %{{.*}}, %{{.*}} : (tensor<2x3xf32>, tensor<2xi32>) -> tensor<1x2xf32>
  %4 = tpc.dynamic_slice %x, %i : (tensor<2x3xf32>, tensor<2xi32>) -> tensor<1x2xf32>
  // CHECK: tpc.update_slice %{{.*}}, %{{.*}}, %{{.*}} : (tensor<2x3xf32>, tensor<1x2xf32>, tensor<2xi32>) -> tensor<2x3xf32>
  %5 = tpc.update_slice %x, %4, %i : (tensor<2x3xf32>, tensor<1x2xf32>, tensor<2xi32>) -> tensor<2x3xf32>
  // CHECK: tpc.pad %{{.*}} low [1, 0] with -1.000000e+00 : (tensor<2x3xf32>) -> tensor<4x3xf32>
  %6 = tpc.pad %x low [1, 0] with -1.0 : (tensor<2x3xf32>) -> tensor<4x3xf32>
  // CHECK: tpc.concat %{{.*}}, %{{.*}} dim 0 : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<6x3xf32>
  %7 = tpc.concat %x, %6 dim 0 : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<6x3xf32>
  return
}

// CHECK-LABEL: func.func @indexing
func.func @indexing(%t: tensor<7x3xf32>, %i: tensor<2x2xi64>) {
  // CHECK: tpc.gather %{{.*}}, %{{.*}} dim 0 : (tensor<7x3xf32>, tensor<2x2xi64>) -> tensor<2x2x3xf32>
  %0 = tpc.gather %t, %i dim 0 : (tensor<7x3xf32>, tensor<2x2xi64>) -> tensor<2x2x3xf32>
  // CHECK: tpc.scatter_add %{{.*}}, %{{.*}}, %{{.*}} dim 0 : (tensor<7x3xf32>, tensor<2x2xi64>, tensor<2x2x3xf32>) -> tensor<7x3xf32>
  %1 = tpc.scatter_add %t, %i, %0 dim 0 : (tensor<7x3xf32>, tensor<2x2xi64>, tensor<2x2x3xf32>) -> tensor<7x3xf32>
  // CHECK: tpc.sort %{{.*}} : (tensor<7x3xf32>) -> (tensor<7x3xf32>, tensor<7x3xi32>)
  %2:2 = tpc.sort %t : (tensor<7x3xf32>) -> (tensor<7x3xf32>, tensor<7x3xi32>)
  // CHECK: tpc.sort %{{.*}} descending : (tensor<7x3xf32>) -> (tensor<7x3xf32>, tensor<7x3xi64>)
  %3:2 = tpc.sort %t descending : (tensor<7x3xf32>) -> (tensor<7x3xf32>, tensor<7x3xi64>)
  // CHECK: tpc.top_k %{{.*}} : (tensor<7x3xf32>) -> (tensor<7x2xf32>, tensor<7x2xi32>)
  %4:2 = tpc.top_k %t : (tensor<7x3xf32>) -> (tensor<7x2xf32>, tensor<7x2xi32>)
  return
}
