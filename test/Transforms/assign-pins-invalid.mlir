// RUN: split-file %s %t
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='pins=up' 2>&1 | FileCheck %s --check-prefix=NOVALUE
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='pins=up=fast' 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='pins=*q*=colwise' 2>&1 | FileCheck %s --check-prefix=NOMATCH
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='pins=@z=[{},{}]' 2>&1 | FileCheck %s --check-prefix=NOENTRY
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='pins=up=[{"xp"},{}]' 2>&1 | FileCheck %s --check-prefix=AXIS
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='pins=up=colwise:xp' 2>&1 | FileCheck %s --check-prefix=USEAXIS
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='pins=xp=batch' 2>&1 | FileCheck %s --check-prefix=RULEAXIS
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='pins=up=[{tp},{}]' 2>&1 | FileCheck %s --check-prefix=MALFORMED
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='pins={up=[{"tp"},{"tp"}]}' 2>&1 | FileCheck %s --check-prefix=TWICE
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='pins={{up=[{},{}], sum {"tp"}}}' 2>&1 | FileCheck %s --check-prefix=PARTIAL
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='pins=up=[{"tp"}]' 2>&1 | FileCheck %s --check-prefix=RANK
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='pins=@x=colwise' 2>&1 | FileCheck %s --check-prefix=ENTRYUSE
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='pins=*=rowwise' 2>&1 | FileCheck %s --check-prefix=NOROW
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='mode=megatron pins=up=colwise' 2>&1 | FileCheck %s --check-prefix=MODE
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='mode=propagate pins=up=[{},{}],u*=[{},{"tp"}]' 2>&1 | FileCheck %s --check-prefix=MODETWO
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='pins=u*=rowwise:tp,up=[{"dp",?},{?}],@x=[{},{}],up=[{?},{"tp"}]' 2>&1 | FileCheck %s --check-prefix=TWO --implicit-check-not=note
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='pins=dp=batch,up=[{},{"dp"}]' 2>&1 | FileCheck %s --check-prefix=RULE --implicit-check-not=note
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='pins=tiny=colwise' 2>&1 | FileCheck %s --check-prefix=TOOSMALL --implicit-check-not=note
// RUN: not tpc-opt %t/attributes.mlir --tpc-assign-sharding='pins=w=[{"tp"}]' 2>&1 | FileCheck %s --check-prefix=ATTRIBUTE --implicit-check-not=note
// RUN: not tpc-opt %t/attributes.mlir --tpc-assign-sharding='pins=tp=batch' 2>&1 | FileCheck %s --check-prefix=SHARDRULE --implicit-check-not=note
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='memory-limit=100000 pins=@x=replicated,up=replicated,down=[{"dp"},{}],@y=[{"dp"},{}]' 2>&1 | FileCheck %s --check-prefix=MEMORY --implicit-check-not=note
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='memory-limit=100000 pins=@x=replicated,*=replicated,up=replicated' 2>&1 | FileCheck %s --check-prefix=MEMORYONE --implicit-check-not=note
// RUN: not tpc-opt %t/pair.mlir --tpc-assign-sharding='memory-limit=10000 pins=@x=replicated' 2>&1 | FileCheck %s --check-prefix=MEMORYNONE

// NOVALUE: error: --pin "up": expected NAME=SHARDING, NAME=colwise, NAME=rowwise, NAME=replicated or AXIS=batch
// UNKNOWN: error: --pin "up=fast": expected a sharding like [{"tp"}, {}], colwise, rowwise, replicated or batch; found fast
// NOMATCH: error: --pin "*q*=colwise": matches no parameter; there are: up, down, bias, tiny
// NOENTRY: error: --pin "@z=[{},{}]": matches no argument or result; there are: x, y
// AXIS: error: --pin "up=[{"xp"},{}]": unknown mesh axis "xp"; the mesh has: dp, tp
// USEAXIS: error: --pin "up=colwise:xp": unknown mesh axis "xp"; the mesh has: dp, tp
// RULEAXIS: error: --pin "xp=batch": unknown mesh axis "xp"; the mesh has: dp, tp
// MALFORMED: error: --pin "up=[{tp},{}]": expected a sharding like [{"tp"}, {}]: expected string
// TWICE: error: --pin "up=[{"tp"},{"tp"}]": expected a sharding like [{"tp"}, {}]: sharding: C2: an axis is used twice
// PARTIAL: error: --pin "up=[{},{}], sum {"tp"}": what is stored, given or returned is not partial
// RANK: error: --pin "up=[{"tp"}]": expected one entry per dimension (2) of parameter @up, found 1
// ENTRYUSE: error: --pin "@x=colwise": arguments and results take a sharding or "replicated"; colwise and rowwise are of parameters
// NOROW: error: --pin "*=rowwise": expected the weight of a product or a table; no use of parameter @bias contracts a dimension of it
// MODE: error: --pin "up=colwise": mode "megatron" takes shardings only; use mode "auto"
// MODETWO: pair.mlir:2:1: error: --pin "u*=[{},{"tp"}]" is not --pin "up=[{},{}]" of parameter @up; mode "propagate" takes one pin for each, mode "auto" what several leave

// Two suffice; the pins of @x and on "dp" are not to blame.
// TWO: pair.mlir:2:1: error: --pin "u*=rowwise:tp": no sharding of parameter @up keeps this and another pin
// TWO: pair.mlir:2:1: note: and --pin "up=[{?},{"tp"}]"
// RULE: pair.mlir:2:1: error: --pin "dp=batch": no sharding of parameter @up keeps this and another pin
// RULE: pair.mlir:2:1: note: and --pin "up=[{},{"dp"}]"
// TOOSMALL: pair.mlir:5:1: error: --pin "tiny=colwise": there is no such sharding of parameter @tiny, 'tensor<64x2xf32>'
// MEMORY: pair.mlir:0:0: error: --pin "up=replicated": this pin and others leave no assignment that fits into 100000 bytes on each device
// MEMORY: note: and --pin "down=[{"dp"},{}]"
// MEMORYONE: error: --pin "*=replicated": this pin leaves no assignment that fits into 100000 bytes on each device
// MEMORYNONE: error: no assignment found that fits into 10000 bytes on each device, and there is none
//--- pair.mlir
tpc.mesh @mesh <"dp" = 2, "tp" = 4>
tpc.parameter @up : tensor<64x256xf32>
tpc.parameter @down : tensor<256x64xf32>
tpc.parameter @bias : tensor<64xf32>
tpc.parameter @tiny : tensor<64x2xf32>
func.func @main(%x: tensor<8x64xf32> {tpc.name = "x"}) -> (tensor<8x64xf32> {tpc.name = "y"}) {
  %up = tpc.read @up : tensor<64x256xf32>
  %down = tpc.read @down : tensor<256x64xf32>
  %h = tpc.matmul %x, %up "b e, e f -> b f" : (tensor<8x64xf32>, tensor<64x256xf32>) -> tensor<8x256xf32>
  %a = tpc.tanh %h : (tensor<8x256xf32>) -> tensor<8x256xf32>
  %y = tpc.matmul %a, %down "b f, f e -> b e" : (tensor<8x256xf32>, tensor<256x64xf32>) -> tensor<8x64xf32>
  %tiny = tpc.read @tiny : tensor<64x2xf32>
  %t = tpc.matmul %y, %tiny "b e, e t -> b t" : (tensor<8x64xf32>, tensor<64x2xf32>) -> tensor<8x2xf32>
  return %y : tensor<8x64xf32>
}

// Pins of the module are named by where they stand.
// ATTRIBUTE: attributes.mlir:2:1: error: the pin [{}]: no sharding of parameter @w keeps this and another pin
// ATTRIBUTE: attributes.mlir:2:1: note: and --pin "w=[{"tp"}]"
// SHARDRULE: attributes.mlir:4:8: error: the pin [{}, {"tp"}]: no sharding of the value of tpc.shard keeps this and another pin
// SHARDRULE: attributes.mlir:4:8: note: and --pin "tp=batch"
//--- attributes.mlir
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<8xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}]>}
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = tpc.shard %x <@mesh, [{}, {"tp"}]> : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}
