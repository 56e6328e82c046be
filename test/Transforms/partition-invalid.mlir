// RUN: tpc-opt %s --tpc-partition --split-input-file --verify-diagnostics

// Partition may be run without the verifier before it.
tpc.mesh @mesh <"a" = 2, "b" = 2>
#both = #tpc.sharding<@mesh, [{}], sum {"a"}, max {"b"}>
#whole = #tpc.sharding<@mesh, [{}]>
func.func @reductions(%x: tensor<4xf32, #whole>) -> tensor<4xf32, #both> {
  // expected-error @below {{of a value that is partial by two reductions, which do not commute}}
  %0 = tpc.reshard %x : (tensor<4xf32, #whole>) -> tensor<4xf32, #both>
  return %0 : tensor<4xf32, #both>
}

// -----

tpc.mesh @mesh <"tp" = 2>
#split = #tpc.sharding<@mesh, [{"tp"}]>
func.func @synchronized(%x: tensor<4xf32, #split>) -> tensor<4xf32, #split> {
  // expected-error @below {{is split along a synchronized dimension; run tpc-expand-synchronized first}}
  %0 = tpc.softmax %x : (tensor<4xf32, #split>) -> tensor<4xf32, #split>
  return %0 : tensor<4xf32, #split>
}

// -----

tpc.mesh @mesh <"tp" = 2>
#split = #tpc.sharding<@mesh, [{"tp"}]>
#whole = #tpc.sharding<@mesh, [{}]>
func.func @local(%x: tensor<4xf32, #split>) -> tensor<4xf32, #whole> {
  // expected-error @below {{is not local under its shardings}}
  %0 = tpc.neg %x : (tensor<4xf32, #split>) -> tensor<4xf32, #whole>
  return %0 : tensor<4xf32, #whole>
}
