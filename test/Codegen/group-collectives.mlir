// Several small collectives become one where none of them is wanted before the
// last is made, and where that saves time on the machine.
// RUN: split-file %s %t
// RUN: tpc-opt %t/kinds.mlir -tpc-group-collectives | FileCheck %t/kinds.mlir
// RUN: tpc-opt %t/kinds.mlir -tpc-group-collectives -tpc-group-collectives | FileCheck %t/kinds.mlir
// RUN: tpc-opt %t/differ.mlir -tpc-group-collectives | FileCheck %t/differ.mlir
// RUN: tpc-opt %t/waiting.mlir -tpc-group-collectives | FileCheck %t/waiting.mlir
// RUN: tpc-opt %t/states.mlir -tpc-group-collectives | FileCheck %t/states.mlir
// RUN: tpc-opt %t/lives.mlir -tpc-group-collectives | FileCheck %t/lives.mlir
// RUN: tpc-opt %t/sizes.mlir -tpc-group-collectives | FileCheck %t/sizes.mlir
// RUN: tpc-opt %t/machine.mlir -tpc-group-collectives | FileCheck %t/machine.mlir
// RUN: tpc-opt %t/flat.mlir -tpc-group-collectives | FileCheck %t/flat.mlir

// Every kind: the chunks of the members side by side, each from a multiple of 64
// bytes on. What was not known of a member's origin stays unknown.
//--- kinds.mlir
module attributes {tpc.machine = "h100"} {
tpc.mesh @mesh <"tp" = 4>
func.func private @reduce(%x: tensor<8x16xf32>, %y: tensor<5xf32>) -> (tensor<8x16xf32>, tensor<5xf32>)
// CHECK-LABEL: spmd.program @reduce.spmd
// CHECK-SAME: (%[[X:.*]]: tensor<8x16xf32>, %[[Y:.*]]: tensor<5xf32>)
spmd.program @reduce.spmd of @reduce(%x: tensor<8x16xf32>, %y: tensor<5xf32>) -> (tensor<8x16xf32>, tensor<5xf32>) args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  // CHECK-DAG: %[[P0:.*]] = tpc.reshape %[[X]] {{.*}} -> tensor<1x128xf32>
  // CHECK-DAG: %[[P1:.*]] = tpc.reshape %[[Y]] {{.*}} -> tensor<1x5xf32>
  // CHECK-DAG: %[[FILL:.*]] = tpc.constant {{.*}} tensor<1x11xf32>
  // CHECK: %[[C:.*]] = tpc.concat %[[P0]], %[[P1]], %[[FILL]] dim 1 {{.*}} -> tensor<1x144xf32>
  // CHECK-NEXT: %[[R:.*]] = spmd.all_reduce max %[[C]] over @mesh{"tp"} why [<"mlp.0.up" to "func.return", {{.*}}>, unknown]
  // CHECK-NOT: spmd.all_reduce
  // CHECK: %[[S0:.*]] = tpc.slice %[[R]] [0, 0] {{.*}} -> tensor<1x128xf32>
  // CHECK: %[[A:.*]] = tpc.reshape %[[S0]] {{.*}} -> tensor<8x16xf32>
  // CHECK: %[[S1:.*]] = tpc.slice %[[R]] [0, 128] {{.*}} -> tensor<1x5xf32>
  // CHECK: %[[B:.*]] = tpc.reshape %[[S1]] {{.*}} -> tensor<5xf32>
  %a = spmd.all_reduce max %x over @mesh{"tp"} why <"mlp.0.up" to "func.return", <@mesh, [{}, {}], max {"tp"}> -> <@mesh, [{}, {}]>> : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %b = spmd.all_reduce max %y over @mesh{"tp"} : (tensor<5xf32>) -> tensor<5xf32>
  // CHECK: spmd.return %[[A]], %[[B]]
  spmd.return %a, %b : tensor<8x16xf32>, tensor<5xf32>
}
func.func private @gather(%x: tensor<4x16xbf16>, %y: tensor<32x4xbf16>) -> (tensor<4x16xbf16>, tensor<32x4xbf16>)
// CHECK-LABEL: spmd.program @gather.spmd
spmd.program @gather.spmd of @gather(%x: tensor<1x16xbf16>, %y: tensor<8x4xbf16>) -> (tensor<4x16xbf16>, tensor<32x4xbf16>) args [#tpc.sharding<@mesh, [{"tp"}, {}]>, #tpc.sharding<@mesh, [{"tp"}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  // CHECK: spmd.all_gather %{{.*}} dim 0 over @mesh{"tp"} why [unknown, unknown] : (tensor<1x64xbf16>) -> tensor<4x64xbf16>
  // CHECK-NOT: spmd.all_gather
  // CHECK: tpc.slice %{{.*}} [0, 0] {{.*}} -> tensor<4x16xbf16>
  // CHECK: tpc.slice %{{.*}} [0, 32] {{.*}} -> tensor<4x32xbf16>
  // CHECK: tpc.reshape {{.*}} -> tensor<32x4xbf16>
  %a = spmd.all_gather %x dim 0 over @mesh{"tp"} : (tensor<1x16xbf16>) -> tensor<4x16xbf16>
  %b = spmd.all_gather %y dim 0 over @mesh{"tp"} : (tensor<8x4xbf16>) -> tensor<32x4xbf16>
  spmd.return %a, %b : tensor<4x16xbf16>, tensor<32x4xbf16>
}
func.func private @scatter(%x: tensor<4x16xf32>, %y: tensor<8x4xf32>) -> (tensor<4x16xf32>, tensor<8x4xf32>)
// CHECK-LABEL: spmd.program @scatter.spmd
spmd.program @scatter.spmd of @scatter(%x: tensor<4x16xf32>, %y: tensor<8x4xf32>) -> (tensor<1x16xf32>, tensor<2x4xf32>) args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{"tp"}, {}]>, #tpc.sharding<@mesh, [{"tp"}, {}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  // CHECK: tpc.reshape %{{.*}} -> tensor<4x8xf32>
  // CHECK: spmd.reduce_scatter sum %{{.*}} dim 0 over @mesh{"tp"} why [unknown, unknown] : (tensor<4x32xf32>) -> tensor<1x32xf32>
  // CHECK-NOT: spmd.reduce_scatter
  // CHECK: tpc.slice %{{.*}} [0, 16] {{.*}} -> tensor<1x8xf32>
  %a = spmd.reduce_scatter sum %x dim 0 over @mesh{"tp"} : (tensor<4x16xf32>) -> tensor<1x16xf32>
  %b = spmd.reduce_scatter sum %y dim 0 over @mesh{"tp"} : (tensor<8x4xf32>) -> tensor<2x4xf32>
  spmd.return %a, %b : tensor<1x16xf32>, tensor<2x4xf32>
}
func.func private @exchange(%x: tensor<4x4x6xf32>) -> (tensor<4x4x6xf32>, tensor<4x4x6xf32>)
// CHECK-LABEL: spmd.program @exchange.spmd
spmd.program @exchange.spmd of @exchange(%x: tensor<4x1x6xf32>) -> (tensor<1x4x6xf32>, tensor<1x4x6xf32>) args [#tpc.sharding<@mesh, [{}, {"tp"}, {}]>] results [#tpc.sharding<@mesh, [{"tp"}, {}, {}]>, #tpc.sharding<@mesh, [{"tp"}, {}, {}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  // CHECK: spmd.all_to_all %{{.*}} split 0 concat 1 over @mesh{"tp"} why [unknown, unknown] : (tensor<4x1x32xf32>) -> tensor<1x4x32xf32>
  // CHECK-NOT: spmd.all_to_all
  // CHECK: tpc.slice %{{.*}} [0, 0, 16] {{.*}} -> tensor<1x4x6xf32>
  %y = tpc.exp %x : (tensor<4x1x6xf32>) -> tensor<4x1x6xf32>
  %a = spmd.all_to_all %x split 0 concat 1 over @mesh{"tp"} : (tensor<4x1x6xf32>) -> tensor<1x4x6xf32>
  %b = spmd.all_to_all %y split 0 concat 1 over @mesh{"tp"} : (tensor<4x1x6xf32>) -> tensor<1x4x6xf32>
  spmd.return %a, %b : tensor<1x4x6xf32>, tensor<1x4x6xf32>
}
func.func private @permute(%x: tensor<8x16xf32>, %y: tensor<16xf32>) -> (tensor<8x16xf32>, tensor<16xf32>, tensor<16xf32>)
// CHECK-LABEL: spmd.program @permute.spmd
spmd.program @permute.spmd of @permute(%x: tensor<8x16xf32>, %y: tensor<16xf32>) -> (tensor<8x16xf32>, tensor<16xf32>, tensor<16xf32>) args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  // Another order of devices is another collective.
  // CHECK: spmd.permute %{{.*}} sources [3, 2, 1, 0]
  // CHECK: spmd.permute %{{.*}} sources [1, 0, 3, 2] over @mesh{"tp"} why [unknown, unknown] : (tensor<1x144xf32>) -> tensor<1x144xf32>
  // CHECK-NOT: spmd.permute
  %a = spmd.permute %x sources [1, 0, 3, 2] over @mesh{"tp"} : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %b = spmd.permute %y sources [3, 2, 1, 0] over @mesh{"tp"} : (tensor<16xf32>) -> tensor<16xf32>
  %c = spmd.permute %y sources [1, 0, 3, 2] over @mesh{"tp"} : (tensor<16xf32>) -> tensor<16xf32>
  spmd.return %a, %b, %c : tensor<8x16xf32>, tensor<16xf32>, tensor<16xf32>
}
}

// Of other kinds, reductions, axes and types each stays alone.
//--- differ.mlir
module attributes {tpc.machine = "h100"} {
tpc.mesh @mesh <"dp" = 4, "tp" = 4>
func.func private @main(%x: tensor<64xf32>, %y: tensor<64xbf16>) -> (tensor<64xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64xbf16>, tensor<256xf32>)
// CHECK-LABEL: spmd.program @main.spmd
// CHECK-NOT: tpc.concat
spmd.program @main.spmd of @main(%x: tensor<64xf32>, %y: tensor<64xbf16>) -> (tensor<64xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64xbf16>, tensor<256xf32>) args [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %b = spmd.all_reduce max %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %c = spmd.all_reduce sum %x over @mesh{"dp"} : (tensor<64xf32>) -> tensor<64xf32>
  %d = spmd.all_reduce sum %x over @mesh{"dp", "tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %e = spmd.all_reduce sum %y over @mesh{"tp"} : (tensor<64xbf16>) -> tensor<64xbf16>
  %f = spmd.all_gather %x dim 0 over @mesh{"tp"} : (tensor<64xf32>) -> tensor<256xf32>
  spmd.return %a, %b, %c, %d, %e, %f : tensor<64xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64xbf16>, tensor<256xf32>
}
}

// What is made of a result may wait for the group, if it is no larger and keeps
// nothing larger alive. What depends on a member is not grouped with it.
//--- waiting.mlir
module attributes {tpc.machine = "h100"} {
tpc.mesh @mesh <"tp" = 4>
tpc.parameter @w : tensor<64x64xf32, #tpc.sharding<@mesh, [{}, {}]>>
func.func private @main(%x: tensor<64xf32>) -> (tensor<64xbf16>, tensor<64xf32>)
// CHECK-LABEL: spmd.program @main.spmd
spmd.program @main.spmd of @main(%x: tensor<64xf32>) -> (tensor<64xbf16>, tensor<64xf32>) args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  // Operations that wait keep their order.
  // CHECK-NOT: tpc.neg
  // CHECK: tpc.exp
  // CHECK: tpc.concat
  // CHECK: spmd.all_reduce {{.*}} tensor<1x128xf32>
  // CHECK-NOT: spmd.all_reduce
  // CHECK: tpc.neg
  // CHECK-NEXT: tpc.convert
  // CHECK-NEXT: spmd.return
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %n = tpc.neg %a : (tensor<64xf32>) -> tensor<64xf32>
  %c = tpc.convert %n : (tensor<64xf32>) -> tensor<64xbf16>
  %y = tpc.exp %x : (tensor<64xf32>) -> tensor<64xf32>
  %b = spmd.all_reduce sum %y over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  spmd.return %c, %b : tensor<64xbf16>, tensor<64xf32>
}
func.func private @chain(%x: tensor<64xf32>) -> tensor<64xf32>
// CHECK-LABEL: spmd.program @chain.spmd
// CHECK-NOT: tpc.concat
spmd.program @chain.spmd of @chain(%x: tensor<64xf32>) -> tensor<64xf32> args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %n = tpc.neg %a : (tensor<64xf32>) -> tensor<64xf32>
  %b = spmd.all_reduce sum %n over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  spmd.return %b : tensor<64xf32>
}
// Here both are read at once.
func.func private @longer_chain(%x: tensor<64xf32>) -> tensor<64x64xf32>
// CHECK-LABEL: spmd.program @longer_chain.spmd
// CHECK-NOT: tpc.concat
spmd.program @longer_chain.spmd of @longer_chain(%x: tensor<64xf32>) -> tensor<64x64xf32> args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %n = tpc.neg %a : (tensor<64xf32>) -> tensor<64xf32>
  %b = spmd.all_reduce sum %n over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %0 = tpc.broadcast %b dims [1] : (tensor<64xf32>) -> tensor<64x64xf32>
  spmd.return %0 : tensor<64x64xf32>
}
// It makes something larger.
func.func private @larger(%x: tensor<64xf32>) -> (tensor<64x64xf32>, tensor<64xf32>)
// CHECK-LABEL: spmd.program @larger.spmd
// CHECK-NOT: tpc.concat
spmd.program @larger.spmd of @larger(%x: tensor<64xf32>) -> (tensor<64x64xf32>, tensor<64xf32>) args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %n = tpc.broadcast %a dims [1] : (tensor<64xf32>) -> tensor<64x64xf32>
  %b = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  spmd.return %n, %b : tensor<64x64xf32>, tensor<64xf32>
}
// A larger value would have to live on.
func.func private @keeps(%x: tensor<64xf32>, %m: tensor<64x64xf32>) -> (tensor<64xf32>, tensor<64xf32>)
// CHECK-LABEL: spmd.program @keeps.spmd
// CHECK-NOT: tpc.concat
spmd.program @keeps.spmd of @keeps(%x: tensor<64xf32>, %m: tensor<64x64xf32>) -> (tensor<64xf32>, tensor<64xf32>) args [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  %large = tpc.exp %m : (tensor<64x64xf32>) -> tensor<64x64xf32>
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %n = tpc.matmul %a, %large "k, k n -> n" : (tensor<64xf32>, tensor<64x64xf32>) -> tensor<64xf32>
  %b = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  spmd.return %n, %b : tensor<64xf32>, tensor<64xf32>
}
// A parameter lives anyway.
func.func private @parameter(%x: tensor<64xf32>) -> (tensor<64xf32>, tensor<64xf32>)
// CHECK-LABEL: spmd.program @parameter.spmd
spmd.program @parameter.spmd of @parameter(%x: tensor<64xf32>) -> (tensor<64xf32>, tensor<64xf32>) args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  // CHECK: tpc.concat
  // CHECK: spmd.all_reduce
  // CHECK-NOT: spmd.all_reduce
  // CHECK: tpc.matmul
  %w = tpc.read @w : tensor<64x64xf32>
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %n = tpc.matmul %a, %w "k, k n -> n" : (tensor<64xf32>, tensor<64x64xf32>) -> tensor<64xf32>
  %b = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  spmd.return %n, %b : tensor<64xf32>, tensor<64xf32>
}
}

// A write waits, but not past another access of its state.
//--- states.mlir
module attributes {tpc.machine = "h100"} {
tpc.mesh @mesh <"tp" = 4>
tpc.state @s : tensor<64xf32, #tpc.sharding<@mesh, [{}]>>
tpc.state @t : tensor<64xf32, #tpc.sharding<@mesh, [{}]>>
func.func private @main(%x: tensor<64xf32>) -> tensor<64xf32>
// CHECK-LABEL: spmd.program @main.spmd
spmd.program @main.spmd of @main(%x: tensor<64xf32>) -> tensor<64xf32> args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  // CHECK-NOT: tpc.write
  // CHECK: tpc.read @t
  // CHECK: tpc.concat
  // CHECK-NEXT: spmd.all_reduce
  // CHECK-NOT: spmd.all_reduce
  // CHECK: tpc.write @s
  // CHECK: tpc.write @t
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  tpc.write @s, %a : tensor<64xf32>
  %t = tpc.read @t : tensor<64xf32>
  %y = tpc.add %x, %t : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
  %b = spmd.all_reduce sum %y over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  tpc.write @t, %b : tensor<64xf32>
  spmd.return %b : tensor<64xf32>
}
func.func private @read(%x: tensor<64xf32>) -> tensor<64xf32>
// CHECK-LABEL: spmd.program @read.spmd
// CHECK-NOT: tpc.concat
spmd.program @read.spmd of @read(%x: tensor<64xf32>) -> tensor<64xf32> args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  // CHECK: tpc.write @s
  // CHECK: tpc.read @s
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  tpc.write @s, %a : tensor<64xf32>
  %s = tpc.read @s : tensor<64xf32>
  %y = tpc.add %x, %s : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
  %b = spmd.all_reduce sum %y over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  spmd.return %b : tensor<64xf32>
}
// The second write is the one that stays.
func.func private @twice(%x: tensor<64xf32>) -> tensor<64xf32>
// CHECK-LABEL: spmd.program @twice.spmd
// CHECK-NOT: tpc.concat
spmd.program @twice.spmd of @twice(%x: tensor<64xf32>) -> tensor<64xf32> args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  tpc.write @s, %a : tensor<64xf32>
  tpc.write @s, %x : tensor<64xf32>
  %b = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  spmd.return %b : tensor<64xf32>
}
}

// Results that are read on the way are grouped if they are used up before the
// next collective; those that are wanted at the end wait for each other.
//--- lives.mlir
module attributes {tpc.machine = "h100"} {
tpc.mesh @mesh <"tp" = 4>
func.func private @near(%x: tensor<64xf32>) -> tensor<64x64xf32>
// CHECK-LABEL: spmd.program @near.spmd
spmd.program @near.spmd of @near(%x: tensor<64xf32>) -> tensor<64x64xf32> args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}, {}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  // CHECK: spmd.all_reduce {{.*}} tensor<1x128xf32>
  // CHECK-NOT: spmd.all_reduce
  %y = tpc.exp %x : (tensor<64xf32>) -> tensor<64xf32>
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %b = spmd.all_reduce sum %y over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %0 = tpc.broadcast %a dims [1] : (tensor<64xf32>) -> tensor<64x64xf32>
  %1 = tpc.broadcast %b dims [0] : (tensor<64xf32>) -> tensor<64x64xf32>
  %2 = tpc.add %0, %1 : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  spmd.return %2 : tensor<64x64xf32>
}
// %a would live on in one buffer with %b.
func.func private @apart(%x: tensor<64xf32>) -> (tensor<64x64xf32>, tensor<256xf32>)
// CHECK-LABEL: spmd.program @apart.spmd
// CHECK-NOT: tpc.concat
spmd.program @apart.spmd of @apart(%x: tensor<64xf32>) -> (tensor<64x64xf32>, tensor<256xf32>) args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  %y = tpc.exp %x : (tensor<64xf32>) -> tensor<64xf32>
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %b = spmd.all_reduce sum %y over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %0 = tpc.broadcast %a dims [1] : (tensor<64xf32>) -> tensor<64x64xf32>
  %g = spmd.all_gather %x dim 0 over @mesh{"tp"} : (tensor<64xf32>) -> tensor<256xf32>
  %1 = tpc.broadcast %b dims [0] : (tensor<64xf32>) -> tensor<64x64xf32>
  %2 = tpc.add %0, %1 : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  spmd.return %2, %g : tensor<64x64xf32>, tensor<256xf32>
}
// %e waits for %f, though %m, between them, is wanted at once.
func.func private @end(%x: tensor<64xf32>) -> (tensor<64xf32>, tensor<64x64xf32>, tensor<64xf32>)
// CHECK-LABEL: spmd.program @end.spmd
spmd.program @end.spmd of @end(%x: tensor<64xf32>) -> (tensor<64xf32>, tensor<64x64xf32>, tensor<64xf32>) args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  // CHECK: spmd.all_reduce {{.*}} tensor<64xf32>
  // CHECK: tpc.broadcast
  // CHECK: tpc.exp
  // CHECK: spmd.all_reduce {{.*}} tensor<1x128xf32>
  // CHECK-NOT: spmd.all_reduce
  %e = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %m = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %0 = tpc.broadcast %m dims [1] : (tensor<64xf32>) -> tensor<64x64xf32>
  %y = tpc.exp %x : (tensor<64xf32>) -> tensor<64xf32>
  %f = spmd.all_reduce sum %y over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  spmd.return %e, %0, %f : tensor<64xf32>, tensor<64x64xf32>, tensor<64xf32>
}
// %e is kept to the end, %m is not.
func.func private @mixed(%x: tensor<64xf32>) -> (tensor<64xf32>, tensor<64x64xf32>)
// CHECK-LABEL: spmd.program @mixed.spmd
// CHECK-NOT: tpc.concat
spmd.program @mixed.spmd of @mixed(%x: tensor<64xf32>) -> (tensor<64xf32>, tensor<64x64xf32>) args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}, {}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  %e = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %m = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %0 = tpc.broadcast %m dims [1] : (tensor<64xf32>) -> tensor<64x64xf32>
  spmd.return %e, %0 : tensor<64xf32>, tensor<64x64xf32>
}
// What nothing comes of is not sent with the others.
func.func private @unused(%x: tensor<64xf32>) -> tensor<64xf32>
// CHECK-LABEL: spmd.program @unused.spmd
// CHECK-NOT: tpc.concat
spmd.program @unused.spmd of @unused(%x: tensor<64xf32>) -> tensor<64xf32> args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %n = tpc.neg %a : (tensor<64xf32>) -> tensor<64xf32>
  %b = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  spmd.return %b : tensor<64xf32>
}
}

// What takes longer to copy than the latency is stays alone. No group is larger
// than the largest value: neighbours come together, up to one that is too much.
//--- sizes.mlir
module attributes {tpc.machine = "h100"} {
tpc.mesh @mesh <"tp" = 4>
func.func private @large(%x: tensor<8388608xf32>, %y: tensor<16xf32>) -> (tensor<8388608xf32>, tensor<8388608xf32>, tensor<16xf32>, tensor<16xf32>)
// CHECK-LABEL: spmd.program @large.spmd
spmd.program @large.spmd of @large(%x: tensor<8388608xf32>, %y: tensor<16xf32>) -> (tensor<8388608xf32>, tensor<8388608xf32>, tensor<16xf32>, tensor<16xf32>) args [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>] {
  // CHECK: spmd.all_reduce {{.*}} tensor<8388608xf32>
  // CHECK: spmd.all_reduce {{.*}} tensor<1x32xf32>
  // CHECK: spmd.all_reduce {{.*}} tensor<8388608xf32>
  // CHECK-NOT: spmd.all_reduce
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<8388608xf32>) -> tensor<8388608xf32>
  %c = spmd.all_reduce sum %y over @mesh{"tp"} : (tensor<16xf32>) -> tensor<16xf32>
  %d = spmd.all_reduce sum %y over @mesh{"tp"} : (tensor<16xf32>) -> tensor<16xf32>
  %z = tpc.neg %x : (tensor<8388608xf32>) -> tensor<8388608xf32>
  %b = spmd.all_reduce sum %z over @mesh{"tp"} : (tensor<8388608xf32>) -> tensor<8388608xf32>
  spmd.return %a, %b, %c, %d : tensor<8388608xf32>, tensor<8388608xf32>, tensor<16xf32>, tensor<16xf32>
}
// %c is the last, %b with it is too much, so %a stays with %b.
func.func private @near(%x: tensor<64xf32>, %y: tensor<96xf32>) -> (tensor<32xf32>, tensor<96xf32>, tensor<64xf32>)
// CHECK-LABEL: spmd.program @near.spmd
spmd.program @near.spmd of @near(%x: tensor<64xf32>, %y: tensor<96xf32>) -> (tensor<32xf32>, tensor<96xf32>, tensor<64xf32>) args [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>] {
  // CHECK: spmd.all_reduce {{.*}} tensor<1x128xf32>
  // CHECK: spmd.all_reduce {{.*}} tensor<64xf32>
  // CHECK-NOT: spmd.all_reduce
  %more = tpc.concat %x, %x dim 0 : (tensor<64xf32>, tensor<64xf32>) -> tensor<128xf32>
  %z = tpc.slice %more [16] : (tensor<128xf32>) -> tensor<32xf32>
  %a = spmd.all_reduce sum %z over @mesh{"tp"} : (tensor<32xf32>) -> tensor<32xf32>
  %b = spmd.all_reduce sum %y over @mesh{"tp"} : (tensor<96xf32>) -> tensor<96xf32>
  %c = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  spmd.return %a, %b, %c : tensor<32xf32>, tensor<96xf32>, tensor<64xf32>
}
func.func private @most(%x: tensor<64xf32>) -> (tensor<64xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64xf32>)
// CHECK-LABEL: spmd.program @most.spmd
spmd.program @most.spmd of @most(%x: tensor<64xf32>) -> (tensor<64xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64xf32>) args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>] {
  // The largest value has 128 elements.
  // CHECK: spmd.all_reduce {{.*}} tensor<1x128xf32>
  // CHECK: spmd.all_reduce {{.*}} tensor<1x128xf32>
  // CHECK-NOT: spmd.all_reduce
  %two = tpc.concat %x, %x dim 0 : (tensor<64xf32>, tensor<64xf32>) -> tensor<128xf32>
  %y = tpc.slice %two [32] : (tensor<128xf32>) -> tensor<64xf32>
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %b = spmd.all_reduce sum %y over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %c = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %d = spmd.all_reduce sum %y over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  spmd.return %a, %b, %c, %d : tensor<64xf32>, tensor<64xf32>, tensor<64xf32>, tensor<64xf32>
}
}

// Virtual devices on one CPU: starting a kernel takes longer than one collective
// among two of them, but not longer than two.
//--- machine.mlir
module attributes {tpc.machine = "cpu"} {
tpc.mesh @mesh <"tp" = 2>
func.func private @two(%x: tensor<64xf32>) -> (tensor<64xf32>, tensor<64xf32>)
// CHECK-LABEL: spmd.program @two.spmd
// CHECK-NOT: tpc.concat
spmd.program @two.spmd of @two(%x: tensor<64xf32>) -> (tensor<64xf32>, tensor<64xf32>) args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %b = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  spmd.return %a, %b : tensor<64xf32>, tensor<64xf32>
}
func.func private @three(%x: tensor<64xf32>, %y: tensor<1024xf32>) -> (tensor<64xf32>, tensor<64xf32>, tensor<64xf32>)
// CHECK-LABEL: spmd.program @three.spmd
// CHECK: tpc.concat
spmd.program @three.spmd of @three(%x: tensor<64xf32>, %y: tensor<1024xf32>) -> (tensor<64xf32>, tensor<64xf32>, tensor<64xf32>) args [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>, #tpc.sharding<@mesh, [{}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  %z = tpc.slice %y [0] : (tensor<1024xf32>) -> tensor<64xf32>
  %a = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %b = spmd.all_reduce sum %z over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  %c = spmd.all_reduce sum %x over @mesh{"tp"} : (tensor<64xf32>) -> tensor<64xf32>
  spmd.return %a, %b, %c : tensor<64xf32>, tensor<64xf32>, tensor<64xf32>
}
}

// Only what tpc-flatten-collectives leaves: blocks of a row are not contiguous.
//--- flat.mlir
module attributes {tpc.machine = "h100"} {
tpc.mesh @mesh <"tp" = 4>
func.func private @main(%x: tensor<8x16xf32>) -> (tensor<8x64xf32>, tensor<8x64xf32>)
// CHECK-LABEL: spmd.program @main.spmd
// CHECK-NOT: tpc.concat
spmd.program @main.spmd of @main(%x: tensor<8x16xf32>) -> (tensor<8x64xf32>, tensor<8x64xf32>) args [#tpc.sharding<@mesh, [{}, {}]>] results [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}, {}]>] {
  %more = tpc.constant dense<0.0> : tensor<4096xf32> : tensor<4096xf32>
  %y = tpc.exp %x : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %a = spmd.all_gather %x dim 1 over @mesh{"tp"} : (tensor<8x16xf32>) -> tensor<8x64xf32>
  %b = spmd.all_gather %y dim 1 over @mesh{"tp"} : (tensor<8x16xf32>) -> tensor<8x64xf32>
  spmd.return %a, %b : tensor<8x64xf32>, tensor<8x64xf32>
}
}
