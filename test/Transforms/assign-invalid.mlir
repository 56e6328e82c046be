// RUN: split-file %s %t
// RUN: not tpc-opt %t/plain.mlir --tpc-assign-sharding=mode=best 2>&1 | FileCheck %s --check-prefix=MODE
// RUN: not tpc-opt %t/parameter.mlir --tpc-assign-sharding 2>&1 | FileCheck %s --check-prefix=PARAMETER
// RUN: not tpc-opt %t/argument.mlir --tpc-assign-sharding 2>&1 | FileCheck %s --check-prefix=ARGUMENT
// RUN: not tpc-opt %t/partial.mlir --tpc-assign-sharding 2>&1 | FileCheck %s --check-prefix=PARTIAL
// RUN: not tpc-opt %t/result.mlir --tpc-assign-sharding 2>&1 | FileCheck %s --check-prefix=RESULT
// RUN: not tpc-opt %t/shard.mlir --tpc-assign-sharding=mode=propagate 2>&1 | FileCheck %s --check-prefix=SHARD
// RUN: not tpc-opt %t/partial-result.mlir --tpc-assign-sharding 2>&1 | FileCheck %s --check-prefix=PARTIALRESULT
// RUN: not tpc-opt %t/held.mlir --tpc-assign-sharding 2>&1 | FileCheck %s --check-prefix=HELD
// RUN: not tpc-opt %t/nomesh.mlir --tpc-assign-sharding 2>&1 | FileCheck %s --check-prefix=NOMESH
// RUN: not tpc-opt %t/foreign.mlir --tpc-assign-sharding 2>&1 | FileCheck %s --check-prefix=FOREIGN

// MODE: error: unknown mode "best"; expected one of: auto, megatron, propagate
//--- plain.mlir
tpc.mesh @mesh <"tp" = 2>
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// PARAMETER: parameter.mlir:2:1: error: pinned sharding: unknown mesh axis "dp"; the mesh has: tp
//--- parameter.mlir
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"dp"}]>}

// ARGUMENT: argument.mlir:2:1: error: argument 0: pinned sharding: sub-axis "tp":(1)3 does not divide the axis of size 4
//--- argument.mlir
tpc.mesh @mesh <"tp" = 4>
func.func @main(%x: tensor<4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"tp":(1)3}]>}) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// PARTIAL: partial.mlir:2:1: error: argument 0 is pinned to a partial sharding
//--- partial.mlir
tpc.mesh @mesh <"tp" = 2>
func.func @main(%x: tensor<4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}], sum {"tp"}>}) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// RESULT: result.mlir:3:3: error: 'func.return' op result 0: pinned sharding: expected mesh @mesh, found @other
//--- result.mlir
tpc.mesh @mesh <"tp" = 2>
func.func @main(%x: tensor<4xf32>) -> (tensor<4xf32> {tpc.sharding = #tpc.sharding<@other, [{"tp"}]>}) {
  return %x : tensor<4xf32>
}

// SHARD: shard.mlir:3:8: error: 'tpc.shard' op pinned sharding: unknown mesh axis "sp"; the mesh has: tp
//--- shard.mlir
tpc.mesh @mesh <"tp" = 2>
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = tpc.shard %x <@mesh, [{"sp"}]> : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// HELD: held.mlir:2:1: error: is pinned to a partial sharding, but what is stored has no contributions
//--- held.mlir
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}], sum {"tp"}>}

// PARTIALRESULT: partial-result.mlir:3:3: error: 'func.return' op result 0 is pinned to a partial sharding
//--- partial-result.mlir
tpc.mesh @mesh <"tp" = 2>
func.func @main(%x: tensor<4xf32>) -> (tensor<4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}], sum {"tp"}>}) {
  return %x : tensor<4xf32>
}

// NOMESH: error: the module has no mesh
//--- nomesh.mlir
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// FOREIGN: foreign.mlir:3:8: error: 'func.call' op has no sharding rule; expected tpc operations in an entry function
//--- foreign.mlir
tpc.mesh @mesh <"tp" = 2>
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = func.call @main(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
