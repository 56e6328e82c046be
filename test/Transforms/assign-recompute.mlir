// What gradients read is kept, or computed and sent again where memory is short.
// RUN: split-file %s %t
// RUN: tpc-opt %t/sections.mlir --tpc-assign-sharding="machine=h100" | FileCheck %t/sections.mlir --check-prefix=KEPT
// RUN: tpc-opt %t/sections.mlir --tpc-assign-sharding="machine=h100 memory-limit=34000" | FileCheck %t/sections.mlir --check-prefix=AGAIN
// RUN: tpc-opt %t/marked.mlir --tpc-phase-assign --tpc-phase-partition --tpc-phase-verify --tpc-phase-plan | FileCheck %t/marked.mlir

// Two sections, 8192 bytes wide. One wide value of the first need not be there
// while the second is computed.
//--- sections.mlir
tpc.mesh @mesh <"tp" = 1>
// KEPT-LABEL: func.func @main
// KEPT-NOT: tpc.again
// KEPT: return

// AGAIN-LABEL: func.func @main(
// AGAIN: %[[E:.*]] = tpc.exp
// AGAIN: tpc.tanh %[[E]]
// AGAIN: tpc.cos
// AGAIN-NOT: tpc.again
// AGAIN: %[[LOSS:.*]] = tpc.reduce sum %{{.*}} dims [0] : (tensor<8xf32
// AGAIN: %[[MARK:.*]] = tpc.again %[[E]]
// AGAIN-NEXT: %[[T:.*]] = tpc.tanh %[[MARK]]
// AGAIN-NEXT: tpc.mul %[[T]], %[[E]]
// AGAIN: return %[[LOSS]]

func.func @main(%x: tensor<8xf32>) -> (tensor<f32>, tensor<8xf32> {tpc.name = "grad.x"}) {
  %w1 = tpc.broadcast %x dims [1] : (tensor<8xf32>) -> tensor<256x8xf32>
  %e1 = tpc.exp %w1 : (tensor<256x8xf32>) -> tensor<256x8xf32>
  %t1 = tpc.tanh %e1 : (tensor<256x8xf32>) -> tensor<256x8xf32>
  %s1 = tpc.reduce sum %t1 dims [0] : (tensor<256x8xf32>) -> tensor<8xf32>
  %w2 = tpc.broadcast %s1 dims [1] : (tensor<8xf32>) -> tensor<256x8xf32>
  %e2 = tpc.cos %w2 : (tensor<256x8xf32>) -> tensor<256x8xf32>
  %t2 = tpc.sin %e2 : (tensor<256x8xf32>) -> tensor<256x8xf32>
  %s2 = tpc.reduce sum %t2 dims [0] : (tensor<256x8xf32>) -> tensor<8xf32>
  %loss = tpc.reduce sum %s2 dims [0] : (tensor<8xf32>) -> tensor<f32>
  %d2 = tpc.mul %t2, %e2 : (tensor<256x8xf32>, tensor<256x8xf32>) -> tensor<256x8xf32>
  %g2 = tpc.reduce sum %d2 dims [0] : (tensor<256x8xf32>) -> tensor<8xf32>
  %d1 = tpc.mul %t1, %e1 : (tensor<256x8xf32>, tensor<256x8xf32>) -> tensor<256x8xf32>
  %g1 = tpc.reduce sum %d1 dims [0] : (tensor<256x8xf32>) -> tensor<8xf32>
  %g = tpc.mul %g1, %g2 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %loss, %g : tensor<f32>, tensor<8xf32>
}

// The second product is not the first one, and its operand is the same memory.
//--- marked.mlir
tpc.mesh @mesh <"tp" = 1>
tpc.parameter @w : tensor<16x16xf32>
// CHECK-LABEL: plan.program @main.plan
// CHECK: %[[X:.*]] = plan.input 0
// CHECK: plan.matmul %[[X]],
// CHECK: plan.matmul %[[X]],
func.func @main(%x: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %w = tpc.read @w : tensor<16x16xf32>
  %h = tpc.matmul %x, %w "b e, e f -> b f" : (tensor<4x16xf32>, tensor<16x16xf32>) -> tensor<4x16xf32>
  %t = tpc.tanh %h : (tensor<4x16xf32>) -> tensor<4x16xf32>
  %x1 = tpc.again %x : (tensor<4x16xf32>) -> tensor<4x16xf32>
  %h1 = tpc.matmul %x1, %w "b e, e f -> b f" : (tensor<4x16xf32>, tensor<16x16xf32>) -> tensor<4x16xf32>
  %y = tpc.mul %t, %h1 : (tensor<4x16xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}
