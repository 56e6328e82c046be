// Meshes, shardings in every notation, pins, and the assigned form.
// RUN: tpc-opt %s | tpc-opt | FileCheck %s
// RUN: tpc-opt %s --mlir-print-op-generic | tpc-opt | FileCheck %s

// CHECK: tpc.mesh @mesh <"dp" = 2, "tp" = 8>
tpc.mesh @mesh <"dp" = 2, "tp" = 8>

// Pins on symbols.
// CHECK: tpc.parameter @w : tensor<8x4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}, {?}]>}
tpc.parameter @w : tensor<8x4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}, {?}]>}
// CHECK: tpc.state @cache : tensor<8x4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"dp", "tp", ?}, {}]>}
tpc.state @cache : tensor<8x4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"dp", "tp", ?}, {}]>}

// Pins on arguments, results and values.
// CHECK: func.func @pins(%{{.*}}: tensor<8x4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"dp"}, {}]>})
// CHECK-SAME: -> (tensor<8x4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp":(1)2}]>})
func.func @pins(%x: tensor<8x4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"dp"}, {}]>})
    -> (tensor<8x4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp":(1)2}]>}) {
  // CHECK: tpc.shard %{{.*}} <@mesh, [{"tp":(1)2, "dp"}, {"tp":(2)4}]> : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %0 = tpc.shard %x <@mesh, [{"tp":(1)2, "dp"}, {"tp":(2)4}]> : (tensor<8x4xf32>) -> tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}

// Encodings: split, sub-axis, partial with each reduction, scalar.
// CHECK: func.func @assigned(%{{.*}}: tensor<8x4xf32, #tpc.sharding<@mesh, [{"dp"}, {}], sum {"tp":(1)2}, max {"tp":(2)2}, min {"tp":(4)2}>>,
// CHECK-SAME: %{{.*}}: tensor<f32, #tpc.sharding<@mesh, [], sum {"dp", "tp"}>>)
func.func @assigned(%x: tensor<8x4xf32, #tpc.sharding<@mesh, [{"dp"}, {}], min {"tp":(4)2}, sum {"tp":(1)2}, max {"tp":(2)2}>>,
                    %s: tensor<f32, #tpc.sharding<@mesh, [], sum {"tp"}, sum {"dp"}>>) {
  // CHECK: tpc.reshard %{{.*}} : (tensor<f32, {{.*}}sum {"dp", "tp"}>>) -> tensor<f32, #tpc.sharding<@mesh, []>>
  %0 = tpc.reshard %s : (tensor<f32, #tpc.sharding<@mesh, [], sum {"dp", "tp"}>>) -> tensor<f32, #tpc.sharding<@mesh, []>>
  // CHECK: tpc.reshard %{{.*}} why <"%s" to "exp", <@mesh, []> -> <@mesh, [], max {"tp"}>> :
  %1 = tpc.reshard %0 why <"%s" to "exp", <@mesh, []> -> <@mesh, [], max {"tp"}>> : (tensor<f32, #tpc.sharding<@mesh, []>>) -> tensor<f32, #tpc.sharding<@mesh, [], max {"tp"}>>
  return
}
