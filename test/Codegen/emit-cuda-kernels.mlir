// RUN: tpc-opt %s -tpc-emit-kernels=isa=sm_80 | FileCheck %s
// RUN: not tpc-opt %s -tpc-emit-kernels=isa=sm_70 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// UNKNOWN: error: unknown instruction set 'sm_70'; expected one of: avx512bf16, avx512, avx2, sm_80, sm_90, sm_100

// Flat: a thread has four elements of a row, which begins at a multiple of 8
// bytes. What nothing else runs is taken to be alone with its buffers.

// CHECK: llvm.func @scale(%[[X:.*]]: !llvm.ptr<1> {llvm.align = 16 : i64, llvm.noalias, llvm.readonly},
// CHECK-SAME: nvvm.kernel, nvvm.reqntid = array<i32: 128, 1, 1>
// CHECK: nvvm.read.ptx.sreg.tid.x
// CHECK: llvm.load %{{.*}} {alignment = 8 : i64} : !llvm.ptr<1> -> vector<4xi16>
// CHECK-NOT: masked
// CHECK: llvm.store %{{.*}} {alignment = 8 : i64} : vector<4xi16>, !llvm.ptr<1>
plan.kernel_func @scale(%x: tensor<4x100xbf16>, %s: tensor<4xbf16>) -> tensor<4x100xbf16> tiles 4 {
  %b = tpc.broadcast %s dims [0] : (tensor<4xbf16>) -> tensor<4x100xbf16>
  %y = tpc.mul %x, %b : (tensor<4x100xbf16>, tensor<4x100xbf16>) -> tensor<4x100xbf16>
  plan.yield %y : tensor<4x100xbf16>
}

// A row of 1024 elements is a block's: 256 threads with four lanes, 8 warps
// that meet in shared memory.
// CHECK: llvm.mlir.global internal @sum_shared0() {addr_space = 3 : i32, {{.*}}} : !llvm.array<8 x f32>
// CHECK: llvm.func @sum
// CHECK-SAME: nvvm.reqntid = array<i32: 256, 1, 1>
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK: nvvm.barrier0
// CHECK-COUNT-3: nvvm.shfl.sync bfly
// CHECK-NOT: nvvm.
plan.kernel_func @sum(%x: tensor<4x1024xf32>) -> tensor<4xf32> tiles 4 {
  %y = tpc.reduce sum %x dims [1] : (tensor<4x1024xf32>) -> tensor<4xf32>
  plan.yield %y : tensor<4xf32>
}

// A short row is a warp's: no barrier.
// CHECK: llvm.func @short_sum
// CHECK-SAME: nvvm.reqntid = array<i32: 96, 1, 1>
// CHECK-COUNT-5: nvvm.shfl.sync bfly
// CHECK-NOT: nvvm.
plan.kernel_func @short_sum(%x: tensor<3x64xf32>) -> tensor<3xf32> tiles 4 {
  %y = tpc.reduce sum %x dims [1] : (tensor<3x64xf32>) -> tensor<3xf32>
  plan.yield %y : tensor<3xf32>
}
