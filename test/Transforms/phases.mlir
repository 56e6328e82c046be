// Every phase prints legal IR that can be read back; continuing from it gives
// what the phases give at once.
// RUN: tpc-opt %examples/mlp.mlir --tpc-phase-assign=mode=megatron -o %t.assigned.mlir
// RUN: tpc-opt %t.assigned.mlir --tpc-phase-partition -o %t.partitioned.mlir
// RUN: tpc-opt %t.partitioned.mlir --tpc-phase-verify -o %t.stepwise.mlir
// RUN: tpc-opt %examples/mlp.mlir --tpc-phase-assign=mode=megatron --tpc-phase-partition --tpc-phase-verify -o %t.once.mlir
// RUN: diff %t.stepwise.mlir %t.once.mlir
// RUN: tpc-opt %t.assigned.mlir --mlir-print-op-generic | tpc-opt --tpc-phase-partition --tpc-phase-verify -o %t.generic.mlir
// RUN: diff %t.generic.mlir %t.once.mlir
// RUN: FileCheck %s < %t.once.mlir

// The whole function stays beside its program, without shardings.
// CHECK: func.func @main(%{{.*}}: tensor<8x64xf32>) -> tensor<8x64xf32>
// CHECK-NOT: #tpc.sharding
// CHECK: spmd.program @main.spmd of @main
// CHECK: spmd.all_reduce sum
// CHECK-NOT: spmd.all_reduce
