// RUN: tpc-opt %s | tpc-opt | FileCheck %s
// RUN: tpc-opt %s -mlir-print-op-generic | tpc-opt | FileCheck %s

// Every operation of the dialect, with and without places, is printed and read
// back.

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<8x8xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
tpc.state @s : tensor<4x4xf32, #tpc.sharding<@mesh, [{}, {}]>>
func.func private @main(%x: tensor<4x8xf32>) -> tensor<4x4xf32>
spmd.program @main.spmd of @main(%x: tensor<4x8xf32>) -> tensor<4x4xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  %y = tpc.slice %x [0, 0] : (tensor<4x8xf32>) -> tensor<4x4xf32>
  %w = tpc.read @w : tensor<8x4xf32>
  %b = tpc.constant dense<1.0> : tensor<4xf32> : tensor<4xf32>
  // CHECK: plan.contract %{{.*}}, %{{.*}} "a b, b c -> a c" : (
  %p = plan.contract %x, %w "a b, b c -> a c" : (tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<4x4xf32>
  // CHECK: plan.contract %{{.*}}, %{{.*}} "a b, b c -> a c" bias %{{.*}} activation tanh : (
  %q = plan.contract %x, %w "a b, b c -> a c" bias %b activation tanh : (tensor<4x8xf32>, tensor<8x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  spmd.return %y : tensor<4x4xf32>
}

// CHECK: plan.kernel_func @scale(%{{.*}}: tensor<i64>, %{{.*}}: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 4 in_place [0, 1] {
plan.kernel_func @scale(%n: tensor<i64>, %x: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 4 in_place [0, 1] {
  %f = tpc.convert %n : (tensor<i64>) -> tensor<f32>
  %b = tpc.broadcast %f dims [] : (tensor<f32>) -> tensor<4x4xf32>
  %y = tpc.mul %x, %b : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // CHECK: plan.yield
  plan.yield %y : tensor<4x4xf32>
}
// CHECK: plan.kernel_func @update({{.*}}) -> tensor<4x4xf32> tiles 2 updates 1 {
plan.kernel_func @update(%x: tensor<2x4xf32>, %at: tensor<2xi64>, %s: tensor<4x4xf32>) -> tensor<4x4xf32> tiles 2 updates 1 {
  %y = tpc.update_slice %s, %x, %at : (tensor<4x4xf32>, tensor<2x4xf32>, tensor<2xi64>) -> tensor<4x4xf32>
  plan.yield %y : tensor<4x4xf32>
}

// CHECK: plan.program @main.plan of @main.spmd arena 512 {
plan.program @main.plan of @main.spmd arena 512 {
  // CHECK: plan.input 0 at <arena + 0> : tensor<4x8xf32>
  %x = plan.input 0 at <arena + 0> : tensor<4x8xf32>
  // CHECK: plan.parameter @w : tensor<8x4xf32>
  %w = plan.parameter @w : tensor<8x4xf32>
  // CHECK: plan.state @s : tensor<4x4xf32>
  %s = plan.state @s : tensor<4x4xf32>
  // CHECK: plan.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %c = plan.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  // CHECK: plan.device_scalar [0, 4] : tensor<i64>
  %d = plan.device_scalar [0, 4] : tensor<i64>
  // CHECK: plan.matmul %{{.*}}, %{{.*}} sizes [4, 4, 8] a [0, 8, 1] b [0, 4, 1] c [4, 1] batch [] strides [] [] [] pack_b at <arena + 128>
  %m = plan.matmul %x, %w sizes [4, 4, 8] a [0, 8, 1] b [0, 4, 1] c [4, 1] batch [] strides [] [] [] pack_b at <arena + 128> : (tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<4x4xf32>
  %b = plan.view %x from 0 : (tensor<4x8xf32>) -> tensor<4xf32>
  // CHECK: plan.matmul {{.*}} pack_b bias %{{.*}} activation gelu_tanh at <arena + 320>
  %n = plan.matmul %x, %w sizes [4, 4, 8] a [0, 8, 1] b [0, 4, 1] c [4, 1] batch [] strides [] [] [] pack_b bias %b activation gelu_tanh at <arena + 320> : (tensor<4x8xf32>, tensor<8x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  // CHECK: plan.collective all_reduce sum %{{.*}} over @mesh{"tp"} at <arena + 128>
  %r = plan.collective all_reduce sum %m over @mesh{"tp"} at <arena + 128> : (tensor<4x4xf32>) -> tensor<4x4xf32>
  // CHECK: plan.collective permute sum %{{.*}} over @mesh{"tp"} sources [1, 0] at <arena + 192>
  %p = plan.collective permute sum %r over @mesh{"tp"} sources [1, 0] at <arena + 192> : (tensor<4x4xf32>) -> tensor<4x4xf32>
  // CHECK: plan.view %{{.*}} from 8 : (tensor<4x4xf32>) -> tensor<2x4xf32>
  %v = plan.view %p from 8 : (tensor<4x4xf32>) -> tensor<2x4xf32>
  // CHECK: plan.kernel @update(%{{.*}}, %{{.*}}) updates(%{{.*}}) at [<state @s + 0>]
  %u = plan.kernel @update(%v, %c) updates(%s) at [<state @s + 0>] : (tensor<2x4xf32>, tensor<2xi64>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // CHECK: plan.kernel @scale(%{{.*}}, %{{.*}}) at [<arena + 256>]
  %y = plan.kernel @scale(%d, %u) at [<arena + 256>] : (tensor<i64>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // CHECK: plan.write @s, %{{.*}} : tensor<4x4xf32>
  plan.write @s, %u : tensor<4x4xf32>
  // CHECK: plan.return %{{.*}} : tensor<4x4xf32>
  plan.return %y : tensor<4x4xf32>
}

// CHECK: plan.program @unplaced of @main.spmd {
plan.program @unplaced of @main.spmd {
  %x = plan.input 0 : tensor<4x8xf32>
  %v = plan.view %x from 16 : (tensor<4x8xf32>) -> tensor<4x4xf32>
  // CHECK: plan.collective all_gather sum %{{.*}} over @mesh{"tp"} : (tensor<4x4xf32>) -> tensor<8x4xf32>
  %g = plan.collective all_gather sum %v over @mesh{"tp"} : (tensor<4x4xf32>) -> tensor<8x4xf32>
  %y = plan.collective reduce_scatter max %g over @mesh{"tp"} : (tensor<8x4xf32>) -> tensor<4x4xf32>
  plan.return %y : tensor<4x4xf32>
}

func.func private @attend(%q: tensor<2x3x2x2x4xf32>, %k: tensor<2x5x2x4xf32>, %v: tensor<2x2x6x5xf32>, %b: tensor<1x2x1x3x5xbf16>, %n: tensor<2xi32>, %o: tensor<i64>, %s: tensor<2x2xf32>) -> tensor<2x3x2x2x5xf32>
spmd.program @attend.spmd of @attend(%q: tensor<2x3x2x2x4xf32>, %k: tensor<2x5x2x4xf32>, %v: tensor<2x2x6x5xf32>, %b: tensor<1x2x1x3x5xbf16>, %n: tensor<2xi32>, %o: tensor<i64>, %s: tensor<2x2xf32>) -> tensor<2x3x2x2x5xf32>
    args [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>, #tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, []>, #tpc.sharding<@mesh, [{}, {}]>]
    results [#tpc.sharding<@mesh, [{}, {}, {}, {}, {}]>] {
  %c = tpc.constant dense<0.0> : tensor<2x3x2x2x5xf32> : tensor<2x3x2x2x5xf32>
  spmd.return %c : tensor<2x3x2x2x5xf32>
}
// CHECK: plan.program @attend.plan
plan.program @attend.plan of @attend.spmd arena 2048 {
  %q = plan.input 0 at <arena + 0> : tensor<2x3x2x2x4xf32>
  %k = plan.input 1 at <arena + 384> : tensor<2x5x2x4xf32>
  %v = plan.input 2 at <arena + 704> : tensor<2x2x6x5xf32>
  %b = plan.input 3 at <arena + 1216> : tensor<1x2x1x3x5xbf16>
  %n = plan.input 4 at <arena + 1280> : tensor<2xi32>
  %o = plan.input 5 at <arena + 1344> : tensor<i64>
  %s = plan.input 6 at <arena + 1408> : tensor<2x2xf32>
  // CHECK: plan.attention %{{.*}} [0, 48, 16, 8, 4], %{{.*}} [0, 40, 8, 4], %{{.*}} [0, 60, 5, 30] sizes [2, 3, 5, 2, 2, 4, 5] scale 5.000000e-01 : (
  %p = plan.attention %q [0, 48, 16, 8, 4], %k [0, 40, 8, 4], %v [0, 60, 5, 30] sizes [2, 3, 5, 2, 2, 4, 5] scale 0.5 : (tensor<2x3x2x2x4xf32>, tensor<2x5x2x4xf32>, tensor<2x2x6x5xf32>) -> tensor<2x3x2x2x5xf32>
  // CHECK: plan.attention {{.*}} bias %{{.*}} [0, 0, 15, 0, 5, 1] lengths %{{.*}} offset %{{.*}} sinks %{{.*}} sizes [2, 3, 5, 2, 2, 4, 5] scale 5.000000e-01 causal window 2 softcap 3.000000e+01 at <arena + 1472> : (
  %y = plan.attention %q [0, 48, 16, 8, 4], %k [0, 40, 8, 4], %v [5, 60, 5, 30] bias %b [0, 0, 15, 0, 5, 1] lengths %n offset %o sinks %s
      sizes [2, 3, 5, 2, 2, 4, 5] scale 0.5 causal window 2 softcap 30.0 at <arena + 1472> : (tensor<2x3x2x2x4xf32>, tensor<2x5x2x4xf32>, tensor<2x2x6x5xf32>, tensor<1x2x1x3x5xbf16>, tensor<2xi32>, tensor<i64>, tensor<2x2xf32>) -> tensor<2x3x2x2x5xf32>
  plan.return %y : tensor<2x3x2x2x5xf32>
}
