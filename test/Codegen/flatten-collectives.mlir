// RUN: tpc-opt %s -tpc-flatten-collectives | FileCheck %s
// RUN: tpc-opt %s -tpc-flatten-collectives -tpc-flatten-collectives | FileCheck %s

tpc.mesh @mesh <"tp" = 4>
func.func private @main(%x: tensor<8x16xf32>)

// CHECK-LABEL: spmd.program @main.spmd
spmd.program @main.spmd of @main(%x: tensor<8x16xf32>) args [#tpc.sharding<@mesh, [{}, {}]>] results [] {
  // Outermost and even: as it is.
  // CHECK: spmd.all_gather %{{.*}} dim 0 {{.*}} -> tensor<32x16xf32>
  // CHECK-NOT: tpc.transpose
  %0 = spmd.all_gather %x dim 0 over @mesh{"tp"} : (tensor<8x16xf32>) -> tensor<32x16xf32>
  // Outermost and uneven: a contiguous part of the result.
  // CHECK: spmd.all_gather {{.*}} -> tensor<4x8x16xf32>
  // CHECK: tpc.reshape {{.*}} -> tensor<32x16xf32>
  // CHECK: tpc.slice %{{.*}} [0, 0] {{.*}} -> tensor<30x16xf32>
  %1 = spmd.all_gather %x dim 0 over @mesh{"tp"} : (tensor<8x16xf32>) -> tensor<30x16xf32>
  // CHECK: spmd.all_gather {{.*}} dim 0 {{.*}} -> tensor<4x8x16xf32>
  // CHECK: tpc.transpose %{{.*}} [1, 0, 2] {{.*}} -> tensor<8x4x16xf32>
  // CHECK: tpc.reshape {{.*}} -> tensor<8x64xf32>
  %2 = spmd.all_gather %x dim 1 over @mesh{"tp"} : (tensor<8x16xf32>) -> tensor<8x64xf32>
  // CHECK: tpc.transpose %{{.*}} [1, 0, 2] {{.*}} -> tensor<4x8x4xf32>
  // CHECK: spmd.reduce_scatter sum %{{.*}} dim 0 {{.*}} -> tensor<1x8x4xf32>
  %3 = spmd.reduce_scatter sum %x dim 1 over @mesh{"tp"} : (tensor<8x16xf32>) -> tensor<8x4xf32>
  // CHECK: spmd.all_to_all %{{.*}} split 0 concat 1 {{.*}}tensor<4x1x32xf32>) -> tensor<1x4x32xf32>
  // CHECK: tpc.transpose
  %4 = spmd.all_to_all %x split 0 concat 1 over @mesh{"tp"} : (tensor<8x16xf32>) -> tensor<2x64xf32>
  // Of four blocks of a dimension of size 1 only the first holds anything.
  // CHECK: spmd.all_to_all %{{.*}} split 0 concat 1 {{.*}}tensor<4x1x5xf32>) -> tensor<1x4x5xf32>
  // CHECK: tpc.slice {{.*}} -> tensor<1x1x5xf32>
  %one = tpc.constant dense<1.0> : tensor<4x1x5xf32> : tensor<4x1x5xf32>
  %5 = spmd.all_to_all %one split 0 concat 1 over @mesh{"tp"} : (tensor<4x1x5xf32>) -> tensor<1x1x5xf32>
  spmd.return
}
