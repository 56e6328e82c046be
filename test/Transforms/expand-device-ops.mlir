// RUN: tpc-opt %s -tpc-expand-device-ops | FileCheck %s

tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<10xi32>) -> tensor<10xi32> { return %x : tensor<10xi32> }

// The value of a mask saturates: 2^31 is the highest i32.
// CHECK-LABEL: spmd.program @p
spmd.program @p of @main(%x: tensor<3xi32>) -> tensor<3xi32>
    args [#tpc.sharding<@mesh, [{"tp"}]>] results [#tpc.sharding<@mesh, [{"tp"}]>] {
  // CHECK: %[[FILL:.*]] = tpc.constant dense<2147483647> : tensor<3xi32>
  // CHECK: tpc.select %{{.*}}, %{{.*}}, %[[FILL]]
  %0 = spmd.mask %x with 2147483648.0 dims [0] of tensor<10xi32, #tpc.sharding<@mesh, [{"tp"}]>> : (tensor<3xi32>) -> tensor<3xi32>
  // CHECK: %[[LOW:.*]] = tpc.constant dense<-2147483648> : tensor<3xi32>
  // CHECK: tpc.select %{{.*}}, %{{.*}}, %[[LOW]]
  %1 = spmd.mask %0 with -3.0e9 dims [0] of tensor<10xi32, #tpc.sharding<@mesh, [{"tp"}]>> : (tensor<3xi32>) -> tensor<3xi32>
  spmd.return %1 : tensor<3xi32>
}
