// Pins that are requested beside those in the module, in every form.
//
// RUN: tpc-opt %s --tpc-assign-sharding="pins=up=colwise,down=rowwise" | FileCheck %s --check-prefix=BYUSE
// RUN: tpc-opt %s --tpc-assign-sharding="pins=*=rowwise:tp" | FileCheck %s --check-prefix=ROWS
// RUN: tpc-opt %s --tpc-assign-sharding='pins={up=[{"tp"}, {"dp"}]}' | FileCheck %s --check-prefix=EXACT
// RUN: tpc-opt %s --tpc-assign-sharding='pins=mlp.w1=[{},{"tp",?}],up=[{?},{"tp","dp"}]' | FileCheck %s --check-prefix=OPEN
// RUN: tpc-opt %s --tpc-assign-sharding='pins=up=[{"tp":(2)2},{}]' | FileCheck %s --check-prefix=PART
// RUN: tpc-opt %s --tpc-assign-sharding='pins=up=[{?},{"tp":(1)2}],up=[{"tp":(2)2},{?}]' | FileCheck %s --check-prefix=PARTS
// RUN: tpc-opt %s --tpc-assign-sharding='pins=up=replicated,down=[{"tp"},{}],s=[{},{"tp"}]' | FileCheck %s --check-prefix=REPLICATED
// RUN: tpc-opt %s --tpc-assign-sharding='pins=@x=[{"tp"},{}],main@y=[{},{"dp"}]' | FileCheck %s --check-prefix=ENTRY
// RUN: tpc-opt %s --tpc-phase-assign='pins=@x=[{"tp"},{}],main@y=[{},{"dp"}]' | FileCheck %s --check-prefix=ENTRY
// RUN: tpc-opt %s --tpc-assign-sharding='pins=up=[{},{"tp"}],dp=batch,@x=[{"dp",?},{?}]' | FileCheck %s --check-prefix=BATCH
// RUN: tpc-opt %s --tpc-assign-sharding='mode=megatron pins=up=[{"tp"},{}],*n=[{},{"tp"}]' | FileCheck %s --check-prefix=MEGATRON
// RUN: tpc-opt %s --tpc-assign-sharding='mode=propagate pins=up=[{?},{"tp"}],@y=[{"dp"},{}]' | FileCheck %s --check-prefix=PROPAGATE

tpc.mesh @mesh <"dp" = 2, "tp" = 4>

// Columns and rows follow from the products: "e" of @up is contracted.
// BYUSE: @up : tensor<64x256xf32, #tpc.sharding<@mesh, [{}, {"{{..}}", "{{..}}"}]>>
// BYUSE: @down : tensor<256x64xf32, #tpc.sharding<@mesh, [{"{{..}}", "{{..}}"}, {}]>>
// ROWS: @up : tensor<64x256xf32, #tpc.sharding<@mesh, [{{.}}{{.*}}"tp"{{.*}}, {
// ROWS: @down : tensor<256x64xf32, #tpc.sharding<@mesh, [{{.}}{{.*}}"tp"{{.*}}, {
// EXACT: @up : tensor<64x256xf32, #tpc.sharding<@mesh, [{"tp"}, {"dp"}]>>
// Stored names count as well; both pins are kept.
// OPEN: @up : tensor<64x256xf32, #tpc.sharding<@mesh, [{}, {"tp", "dp"}]>>
// PART: @up : tensor<64x256xf32, #tpc.sharding<@mesh, [{"tp":(2)2}, {}]>>
// PARTS: @up : tensor<64x256xf32, #tpc.sharding<@mesh, [{"tp":(2)2}, {"tp":(1)2}]>>
// REPLICATED: @up : tensor<64x256xf32, #tpc.sharding<@mesh, [{}, {}]>>
// REPLICATED: @down : tensor<256x64xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>>
// REPLICATED: @s : tensor<8x64xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
// BATCH: @up : tensor<64x256xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
// MEGATRON: @up : tensor<64x256xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>>
// MEGATRON: @down : tensor<256x64xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
// PROPAGATE: @up : tensor<64x256xf32, #tpc.sharding<@mesh, [{}, {"tp"}]>>
// PROPAGATE: @down : tensor<256x64xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>>
tpc.parameter @up : tensor<64x256xf32> from "mlp.w1" : tensor<64x256xf32>
tpc.parameter @down : tensor<256x64xf32>
tpc.state @s : tensor<8x64xf32>

// ENTRY: @main(%{{.*}}: tensor<8x64xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>>
// ENTRY-SAME: -> (tensor<8x64xf32, #tpc.sharding<@mesh, [{}, {"dp"}]>>
// BATCH: @main(%{{.*}}: tensor<8x64xf32, #tpc.sharding<@mesh, [{"dp"{{.*}}}, {{.*}}]>>
// PROPAGATE: @main
// PROPAGATE-SAME: -> (tensor<8x64xf32, #tpc.sharding<@mesh, [{"dp"}, {}]>>
func.func @main(%x: tensor<8x64xf32> {tpc.name = "x"}) -> (tensor<8x64xf32> {tpc.name = "y"}) {
  %up = tpc.read @up : tensor<64x256xf32>
  %down = tpc.read @down : tensor<256x64xf32>
  %h = tpc.matmul %x, %up "b e, e f -> b f" : (tensor<8x64xf32>, tensor<64x256xf32>) -> tensor<8x256xf32>
  %a = tpc.tanh %h : (tensor<8x256xf32>) -> tensor<8x256xf32>
  %y = tpc.matmul %a, %down "b f, f e -> b e" : (tensor<8x256xf32>, tensor<256x64xf32>) -> tensor<8x64xf32>
  tpc.write @s, %y : tensor<8x64xf32>
  return %y : tensor<8x64xf32>
}
