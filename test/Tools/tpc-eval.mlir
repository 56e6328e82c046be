// The evaluator on the command line: the whole form, and the program that
// implements it with all devices simulated.
// RUN: tpc-eval %s --input 'dense<[1., 2., 3., 4., 5.]> : tensor<5xf32>' --parameter 'w=dense<[1., 1., 1., 1., 2.]> : tensor<5xf32>' | FileCheck %s
// RUN: tpc-eval %s --form program --poison --input 'dense<[1., 2., 3., 4., 5.]> : tensor<5xf32>' --parameter 'w=dense<[1., 1., 1., 1., 2.]> : tensor<5xf32>' | FileCheck %s
// CHECK: tensor<f32> 20

// RUN: not tpc-eval %s --entry other 2>&1 | FileCheck %s --check-prefix=ENTRY
// ENTRY: no function @other; choose with --entry
// RUN: not tpc-eval %s --form program --entry unused 2>&1 | FileCheck %s --check-prefix=PROGRAM
// PROGRAM: no spmd.program implements @unused; run the partition phase first, or use --form whole
// RUN: not tpc-eval %s 2>&1 | FileCheck %s --check-prefix=COUNT
// COUNT: expected 1 inputs, found 0
// RUN: not tpc-eval %s --input 'dense<1.> : tensor<4xf32>' 2>&1 | FileCheck %s --check-prefix=TYPE
// TYPE: input 0: expected 'tensor<5xf32>', found 'tensor<4xf32>'
// RUN: not tpc-eval %s --input 'dense<1.> : tensor<5xf32>' 2>&1 | FileCheck %s --check-prefix=PARAMETER
// PARAMETER: no value was given for parameter @w
// RUN: not tpc-eval %s --input 'dense<1.> : tensor<5xf32>' --parameter 'w=dense<1.> : tensor<6xf32>' 2>&1 | FileCheck %s --check-prefix=PARAMETERTYPE
// PARAMETERTYPE: expected a value of type 'tensor<5xf32>' for @w, found 'tensor<6xf32>'
// RUN: not tpc-eval %s --input 'dense<1.>' 2>&1 | FileCheck %s --check-prefix=TEXT
// TEXT: expected FILE.npy or a tensor like 'dense<[1, 2]> : tensor<2xi32>', found 'dense<1.>'

tpc.mesh @mesh <"tp" = 4>
tpc.parameter @w : tensor<5xf32, #tpc.sharding<@mesh, [{"tp"}]>>

func.func @main(%x: tensor<5xf32>) -> tensor<f32> {
  %w = tpc.read @w : tensor<5xf32>
  %0 = tpc.matmul %x, %w "k, k -> " : (tensor<5xf32>, tensor<5xf32>) -> tensor<f32>
  return %0 : tensor<f32>
}

// Slicing leaves unspecified padding on devices 2 and 3, which is masked.
spmd.program @main.spmd of @main(%x: tensor<5xf32>) -> tensor<f32>
    args [#tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, []>] {
  %w = tpc.read @w : tensor<2xf32>
  %0 = spmd.slice %x dim 0 over @mesh{"tp"} : (tensor<5xf32>) -> tensor<2xf32>
  %1 = spmd.mask %0 with 0.0 dims [0] of tensor<5xf32, #tpc.sharding<@mesh, [{"tp"}]>> : (tensor<2xf32>) -> tensor<2xf32>
  %2 = tpc.matmul %1, %w "k, k -> " : (tensor<2xf32>, tensor<2xf32>) -> tensor<f32>
  %3 = spmd.all_reduce sum %2 over @mesh{"tp"} : (tensor<f32>) -> tensor<f32>
  spmd.return %3 : tensor<f32>
}

func.func @unused() { return }
