// Parameters with every view, states, reads and writes.
// RUN: tpc-opt %s | tpc-opt | FileCheck %s
// RUN: tpc-opt %s --mlir-print-op-generic | tpc-opt | FileCheck %s

// CHECK: tpc.parameter @plain : tensor<4x6xf32>{{$}}
tpc.parameter @plain : tensor<4x6xf32>
// CHECK: tpc.parameter @converted : tensor<4x6xbf16> from "a.b" : tensor<4x6xf32>{{$}}
tpc.parameter @converted : tensor<4x6xbf16> from "a.b" : tensor<4x6xf32>
// CHECK: tpc.parameter @heads : tensor<6x2x2xf32> from "q" : tensor<4x6xf32> view [transpose [1, 0], reshape [6, 2, 2]]
tpc.parameter @heads : tensor<6x2x2xf32> from "q" : tensor<4x6xf32> view [transpose [1, 0], reshape [6, 2, 2]]
// CHECK: tpc.parameter @part : tensor<2x6xf32> from "qkv" : tensor<6x6xf32> view [slice [2, 0] [2, 6]]
tpc.parameter @part : tensor<2x6xf32> from "qkv" : tensor<6x6xf32> view [slice [2, 0] [2, 6]]
// CHECK: tpc.parameter @experts : tensor<4x2x6xf32> from ["e0", "e1"] : tensor<4x6xf32> view [stack [1]]
tpc.parameter @experts : tensor<4x2x6xf32> from ["e0", "e1"] : tensor<4x6xf32> view [stack [1]]
// CHECK: tpc.parameter @stacked_one : tensor<1x4xf32> from "one" : tensor<4xf32> view [stack [0]]
tpc.parameter @stacked_one : tensor<1x4xf32> from "one" : tensor<4xf32> view [stack [0]]
// Slicing a transposed tensor, then splitting a dimension, is strided still.
// CHECK: tpc.parameter @gate : tensor<3x2x2xf32> from "gate_up" : tensor<4x6xf32> view [transpose [1, 0], slice [3, 0] [3, 4], reshape [3, 2, 2]]
tpc.parameter @gate : tensor<3x2x2xf32> from "gate_up" : tensor<4x6xf32> view [transpose [1, 0], slice [3, 0] [3, 4], reshape [3, 2, 2]]
// CHECK: tpc.state @cache : tensor<4x6xf32>
tpc.state @cache : tensor<4x6xf32>

// CHECK-LABEL: func.func @use
func.func @use() {
  // CHECK: tpc.read @plain : tensor<4x6xf32>
  %0 = tpc.read @plain : tensor<4x6xf32>
  // CHECK: tpc.read @cache : tensor<4x6xf32>
  %1 = tpc.read @cache : tensor<4x6xf32>
  // CHECK: tpc.write @cache, %{{.*}} : tensor<4x6xf32>
  tpc.write @cache, %0 : tensor<4x6xf32>
  return
}
