// What cannot be differentiated, and how that is said.
// RUN: not tpc-opt %s --tpc-differentiate="entry=none" 2>&1 | FileCheck %s --check-prefix=ENTRY
// ENTRY: entry: there is no function @none
// RUN: not tpc-opt %s --tpc-differentiate="entry=vector" 2>&1 | FileCheck %s --check-prefix=VECTOR
// VECTOR: expected a floating-point scalar among the results, the loss; found none
// RUN: not tpc-opt %s --tpc-differentiate="entry=vector output=result0" 2>&1 | FileCheck %s --check-prefix=OUTPUT
// OUTPUT: output: expected a floating-point scalar as the loss, found "result0" of type 'tensor<2xf32>'; reduce it to one number, tpc.reduce sum
// RUN: not tpc-opt %s --tpc-differentiate="entry=two" 2>&1 | FileCheck %s --check-prefix=TWO
// TWO: expected one floating-point scalar among the results, found "result0" and "result1"; choose one with output=NAME
// RUN: not tpc-opt %s --tpc-differentiate="entry=two output=result7" 2>&1 | FileCheck %s --check-prefix=NOOUTPUT
// NOOUTPUT: output: there is no result "result7"
// RUN: not tpc-opt %s --tpc-differentiate="entry=two output=result0 wrt=labels" 2>&1 | FileCheck %s --check-prefix=NAME
// NAME: wrt: expected a floating-point parameter that the entry reads, or an input; found "labels"
// RUN: not tpc-opt %s --tpc-differentiate="entry=two output=result0 wrt=b" 2>&1 | FileCheck %s --check-prefix=INDEPENDENT
// INDEPENDENT: wrt: the loss does not depend on "b"; leave it out, its gradient would be zeros
// RUN: not tpc-opt %s --tpc-differentiate="entry=two output=result0 wrt=a,a" 2>&1 | FileCheck %s --check-prefix=TWICE
// TWICE: wrt: "a" is named twice
// RUN: not tpc-opt %s --tpc-differentiate="entry=inputs" 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: the loss depends on no floating-point parameter; name inputs with wrt=NAME
// RUN: not tpc-opt %s --tpc-differentiate="entry=taken" 2>&1 | FileCheck %s --check-prefix=TAKEN
// TAKEN: a result is called "grad.a", the name of a gradient; give it another tpc.name
// RUN: not tpc-opt %s --tpc-differentiate="entry=same" 2>&1 | FileCheck %s --check-prefix=SAME
// SAME: input "a" has the name of a parameter: their gradients could not be told apart; give it another tpc.name
// RUN: not tpc-opt %s --tpc-differentiate="entry=memory" 2>&1 | FileCheck %s --check-prefix=STATE
// STATE: the loss depends on state @s after it was written: expected states to be read before, since gradients do not flow through memory; use the written value itself
// STATE: written here
// RUN: not tpc-opt %s --tpc-differentiate="entry=assigned" 2>&1 | FileCheck %s --check-prefix=ASSIGNED
// ASSIGNED: has no gradient, and the loss depends on it

tpc.mesh @mesh <"tp" = 2>
tpc.parameter @a : tensor<2xf32>
tpc.parameter @b : tensor<2xf32>
tpc.state @s : tensor<2xf32>

func.func @vector() -> tensor<2xf32> {
  %a = tpc.read @a : tensor<2xf32>
  return %a : tensor<2xf32>
}

func.func @two(%labels: tensor<2xi32> {tpc.name = "labels"}) -> (tensor<f32>, tensor<f32>) {
  %a = tpc.read @a : tensor<2xf32>
  %b = tpc.read @b : tensor<2xf32>
  %0 = tpc.reduce sum %a dims [0] : (tensor<2xf32>) -> tensor<f32>
  %1 = tpc.reduce sum %b dims [0] : (tensor<2xf32>) -> tensor<f32>
  return %0, %1 : tensor<f32>, tensor<f32>
}

func.func @inputs(%x: tensor<2xf32>) -> tensor<f32> {
  %0 = tpc.reduce sum %x dims [0] : (tensor<2xf32>) -> tensor<f32>
  return %0 : tensor<f32>
}

func.func @taken() -> (tensor<f32>, tensor<2xf32> {tpc.name = "grad.a"}) {
  %a = tpc.read @a : tensor<2xf32>
  %0 = tpc.reduce sum %a dims [0] : (tensor<2xf32>) -> tensor<f32>
  return %0, %a : tensor<f32>, tensor<2xf32>
}

func.func @same(%x: tensor<2xf32> {tpc.name = "a"}) -> tensor<f32> {
  %a = tpc.read @a : tensor<2xf32>
  %0 = tpc.mul %a, %x : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  %1 = tpc.reduce sum %0 dims [0] : (tensor<2xf32>) -> tensor<f32>
  return %1 : tensor<f32>
}

func.func @memory() -> tensor<f32> {
  %a = tpc.read @a : tensor<2xf32>
  tpc.write @s, %a : tensor<2xf32>
  %s = tpc.read @s : tensor<2xf32>
  %0 = tpc.mul %a, %s : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  %1 = tpc.reduce sum %0 dims [0] : (tensor<2xf32>) -> tensor<f32>
  return %1 : tensor<f32>
}

func.func @assigned() -> tensor<f32, #tpc.sharding<@mesh, []>> {
  %a = tpc.read @a : tensor<2xf32>
  %0 = tpc.reduce sum %a dims [0] : (tensor<2xf32>) -> tensor<f32, #tpc.sharding<@mesh, []>>
  %1 = tpc.reshard %0 : (tensor<f32, #tpc.sharding<@mesh, []>>) -> tensor<f32, #tpc.sharding<@mesh, []>>
  return %1 : tensor<f32, #tpc.sharding<@mesh, []>>
}
