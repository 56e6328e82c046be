// RUN: tpc-opt %s -tpc-emit-kernels=isa=avx512 | FileCheck %s --check-prefixes=CHECK,WIDE
// RUN: tpc-opt %s -tpc-emit-kernels=isa=avx2 | FileCheck %s --check-prefixes=CHECK,NARROW

// Rows of 100 lanes: whole vectors, then a masked one. No bf16 in registers.

// CHECK: llvm.func @scale(%{{.*}}: !llvm.ptr, %[[BEGIN:.*]]: i64, %[[END:.*]]: i64)
// CHECK: scf.for %{{.*}} = %[[BEGIN]] to %[[END]]
// CHECK: scf.for
// WIDE: llvm.load %{{.*}} : !llvm.ptr -> vector<16xi16>
// NARROW: llvm.load %{{.*}} : !llvm.ptr -> vector<8xi16>
// CHECK-NOT: bf16
// CHECK: llvm.intr.masked.load
// CHECK: llvm.intr.masked.store
plan.kernel_func @scale(%x: tensor<4x100xbf16>, %s: tensor<4xbf16>) -> tensor<4x100xbf16> tiles 4 {
  %b = tpc.broadcast %s dims [0] : (tensor<4xbf16>) -> tensor<4x100xbf16>
  %y = tpc.mul %x, %b : (tensor<4x100xbf16>, tensor<4x100xbf16>) -> tensor<4x100xbf16>
  plan.yield %y : tensor<4x100xbf16>
}

// A sum keeps four vectors, and the lanes meet once per row.
// CHECK: llvm.func @sum
// CHECK: scf.for %{{.*}} iter_args(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}})
// CHECK: vector.reduction <add>
plan.kernel_func @sum(%x: tensor<4x1024xf32>) -> tensor<4xf32> tiles 4 {
  %y = tpc.reduce sum %x dims [1] : (tensor<4x1024xf32>) -> tensor<4xf32>
  plan.yield %y : tensor<4xf32>
}
