// A decoder of two layers with grouped-query attention and a cache of keys and
// values, as two entries that share parameters and states:
//
//   prefill(input_ids [2, 6])                 fills the cache from its beginning
//   decode(input_ids [2, 1], positions [2])   adds one token to each row
//
// Both give the logits of each row's last token. 2 key/value heads of 6 elements,
// 2 query heads for each; a vocabulary of 37; a cache of 10 tokens. So this goes
// on after a prompt: tpc-run --max-new-tokens 4 --weights FILE.safetensors
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @words : tensor<37x24xf32>
tpc.parameter @norm  : tensor<24xf32>

tpc.parameter @l0.anorm : tensor<24xf32>
tpc.parameter @l0.query : tensor<24x2x2x6xf32>
tpc.parameter @l0.key   : tensor<24x2x6xf32>
tpc.parameter @l0.value : tensor<24x2x6xf32>
tpc.parameter @l0.out   : tensor<2x2x6x24xf32>
tpc.parameter @l0.mnorm : tensor<24xf32>
tpc.parameter @l0.gate  : tensor<24x50xf32>
tpc.parameter @l0.up    : tensor<24x50xf32>
tpc.parameter @l0.down  : tensor<50x24xf32>
tpc.state     @l0.keys  : tensor<2x10x2x6xf32>
tpc.state     @l0.values: tensor<2x10x2x6xf32>

tpc.parameter @l1.anorm : tensor<24xf32>
tpc.parameter @l1.query : tensor<24x2x2x6xf32>
tpc.parameter @l1.key   : tensor<24x2x6xf32>
tpc.parameter @l1.value : tensor<24x2x6xf32>
tpc.parameter @l1.out   : tensor<2x2x6x24xf32>
tpc.parameter @l1.mnorm : tensor<24xf32>
tpc.parameter @l1.gate  : tensor<24x50xf32>
tpc.parameter @l1.up    : tensor<24x50xf32>
tpc.parameter @l1.down  : tensor<50x24xf32>
tpc.state     @l1.keys  : tensor<2x10x2x6xf32>
tpc.state     @l1.values: tensor<2x10x2x6xf32>

func.func @prefill(%tokens: tensor<2x6xi64> {tpc.name = "input_ids"})
    -> (tensor<2x37xf32> {tpc.name = "logits"}) {
  %words = tpc.read @words : tensor<37x24xf32>
  %frequencies = tpc.constant dense<[1.0, 0.1, 0.01]> : tensor<3xf32> : tensor<3xf32>
  %at = tpc.iota dim 1 : tensor<2x6xi64>
  %start = tpc.constant dense<0> : tensor<4xi64> : tensor<4xi64>
  %x0 = tpc.embedding %words, %tokens : (tensor<37x24xf32>, tensor<2x6xi64>) -> tensor<2x6x24xf32>

  // Layer 0.
  %anorm0 = tpc.read @l0.anorm : tensor<24xf32>
  %query0 = tpc.read @l0.query : tensor<24x2x2x6xf32>
  %key0 = tpc.read @l0.key : tensor<24x2x6xf32>
  %value0 = tpc.read @l0.value : tensor<24x2x6xf32>
  %out0 = tpc.read @l0.out : tensor<2x2x6x24xf32>
  %mnorm0 = tpc.read @l0.mnorm : tensor<24xf32>
  %gate0 = tpc.read @l0.gate : tensor<24x50xf32>
  %up0 = tpc.read @l0.up : tensor<24x50xf32>
  %down0 = tpc.read @l0.down : tensor<50x24xf32>
  %h0 = tpc.rms_norm %x0, %anorm0 epsilon 1.0e-5 : (tensor<2x6x24xf32>, tensor<24xf32>) -> tensor<2x6x24xf32>
  %q0 = tpc.matmul %h0, %query0 "b s e, e k g d -> b s k g d" : (tensor<2x6x24xf32>, tensor<24x2x2x6xf32>) -> tensor<2x6x2x2x6xf32>
  %k0 = tpc.matmul %h0, %key0 "b s e, e k d -> b s k d" : (tensor<2x6x24xf32>, tensor<24x2x6xf32>) -> tensor<2x6x2x6xf32>
  %v0 = tpc.matmul %h0, %value0 "b s e, e k d -> b s k d" : (tensor<2x6x24xf32>, tensor<24x2x6xf32>) -> tensor<2x6x2x6xf32>
  %qr0 = tpc.rope halves %q0, %at, %frequencies scale 1.0 : (tensor<2x6x2x2x6xf32>, tensor<2x6xi64>, tensor<3xf32>) -> tensor<2x6x2x2x6xf32>
  %kr0 = tpc.rope halves %k0, %at, %frequencies scale 1.0 : (tensor<2x6x2x6xf32>, tensor<2x6xi64>, tensor<3xf32>) -> tensor<2x6x2x6xf32>
  %keys_before0 = tpc.read @l0.keys : tensor<2x10x2x6xf32>
  %keys0 = tpc.update_slice %keys_before0, %kr0, %start : (tensor<2x10x2x6xf32>, tensor<2x6x2x6xf32>, tensor<4xi64>) -> tensor<2x10x2x6xf32>
  tpc.write @l0.keys, %keys0 : tensor<2x10x2x6xf32>
  %values_before0 = tpc.read @l0.values : tensor<2x10x2x6xf32>
  %values0 = tpc.update_slice %values_before0, %v0, %start : (tensor<2x10x2x6xf32>, tensor<2x6x2x6xf32>, tensor<4xi64>) -> tensor<2x10x2x6xf32>
  tpc.write @l0.values, %values0 : tensor<2x10x2x6xf32>
  %a0 = tpc.attention %qr0, %kr0, %v0 scale 0.4082 causal : (tensor<2x6x2x2x6xf32>, tensor<2x6x2x6xf32>, tensor<2x6x2x6xf32>) -> tensor<2x6x2x2x6xf32>
  %o0 = tpc.matmul %a0, %out0 "b s k g d, k g d e -> b s e" : (tensor<2x6x2x2x6xf32>, tensor<2x2x6x24xf32>) -> tensor<2x6x24xf32>
  %y0 = tpc.add %x0, %o0 : (tensor<2x6x24xf32>, tensor<2x6x24xf32>) -> tensor<2x6x24xf32>
  %m0 = tpc.rms_norm %y0, %mnorm0 epsilon 1.0e-5 : (tensor<2x6x24xf32>, tensor<24xf32>) -> tensor<2x6x24xf32>
  %g0 = tpc.matmul %m0, %gate0 "b s e, e f -> b s f" : (tensor<2x6x24xf32>, tensor<24x50xf32>) -> tensor<2x6x50xf32>
  %u0 = tpc.matmul %m0, %up0 "b s e, e f -> b s f" : (tensor<2x6x24xf32>, tensor<24x50xf32>) -> tensor<2x6x50xf32>
  %s0 = tpc.silu %g0 : (tensor<2x6x50xf32>) -> tensor<2x6x50xf32>
  %f0 = tpc.mul %s0, %u0 : (tensor<2x6x50xf32>, tensor<2x6x50xf32>) -> tensor<2x6x50xf32>
  %d0 = tpc.matmul %f0, %down0 "b s f, f e -> b s e" : (tensor<2x6x50xf32>, tensor<50x24xf32>) -> tensor<2x6x24xf32>
  %x1 = tpc.add %y0, %d0 : (tensor<2x6x24xf32>, tensor<2x6x24xf32>) -> tensor<2x6x24xf32>

  // Layer 1.
  %anorm1 = tpc.read @l1.anorm : tensor<24xf32>
  %query1 = tpc.read @l1.query : tensor<24x2x2x6xf32>
  %key1 = tpc.read @l1.key : tensor<24x2x6xf32>
  %value1 = tpc.read @l1.value : tensor<24x2x6xf32>
  %out1 = tpc.read @l1.out : tensor<2x2x6x24xf32>
  %mnorm1 = tpc.read @l1.mnorm : tensor<24xf32>
  %gate1 = tpc.read @l1.gate : tensor<24x50xf32>
  %up1 = tpc.read @l1.up : tensor<24x50xf32>
  %down1 = tpc.read @l1.down : tensor<50x24xf32>
  %h1 = tpc.rms_norm %x1, %anorm1 epsilon 1.0e-5 : (tensor<2x6x24xf32>, tensor<24xf32>) -> tensor<2x6x24xf32>
  %q1 = tpc.matmul %h1, %query1 "b s e, e k g d -> b s k g d" : (tensor<2x6x24xf32>, tensor<24x2x2x6xf32>) -> tensor<2x6x2x2x6xf32>
  %k1 = tpc.matmul %h1, %key1 "b s e, e k d -> b s k d" : (tensor<2x6x24xf32>, tensor<24x2x6xf32>) -> tensor<2x6x2x6xf32>
  %v1 = tpc.matmul %h1, %value1 "b s e, e k d -> b s k d" : (tensor<2x6x24xf32>, tensor<24x2x6xf32>) -> tensor<2x6x2x6xf32>
  %qr1 = tpc.rope halves %q1, %at, %frequencies scale 1.0 : (tensor<2x6x2x2x6xf32>, tensor<2x6xi64>, tensor<3xf32>) -> tensor<2x6x2x2x6xf32>
  %kr1 = tpc.rope halves %k1, %at, %frequencies scale 1.0 : (tensor<2x6x2x6xf32>, tensor<2x6xi64>, tensor<3xf32>) -> tensor<2x6x2x6xf32>
  %keys_before1 = tpc.read @l1.keys : tensor<2x10x2x6xf32>
  %keys1 = tpc.update_slice %keys_before1, %kr1, %start : (tensor<2x10x2x6xf32>, tensor<2x6x2x6xf32>, tensor<4xi64>) -> tensor<2x10x2x6xf32>
  tpc.write @l1.keys, %keys1 : tensor<2x10x2x6xf32>
  %values_before1 = tpc.read @l1.values : tensor<2x10x2x6xf32>
  %values1 = tpc.update_slice %values_before1, %v1, %start : (tensor<2x10x2x6xf32>, tensor<2x6x2x6xf32>, tensor<4xi64>) -> tensor<2x10x2x6xf32>
  tpc.write @l1.values, %values1 : tensor<2x10x2x6xf32>
  %a1 = tpc.attention %qr1, %kr1, %v1 scale 0.4082 causal : (tensor<2x6x2x2x6xf32>, tensor<2x6x2x6xf32>, tensor<2x6x2x6xf32>) -> tensor<2x6x2x2x6xf32>
  %o1 = tpc.matmul %a1, %out1 "b s k g d, k g d e -> b s e" : (tensor<2x6x2x2x6xf32>, tensor<2x2x6x24xf32>) -> tensor<2x6x24xf32>
  %y1 = tpc.add %x1, %o1 : (tensor<2x6x24xf32>, tensor<2x6x24xf32>) -> tensor<2x6x24xf32>
  %m1 = tpc.rms_norm %y1, %mnorm1 epsilon 1.0e-5 : (tensor<2x6x24xf32>, tensor<24xf32>) -> tensor<2x6x24xf32>
  %g1 = tpc.matmul %m1, %gate1 "b s e, e f -> b s f" : (tensor<2x6x24xf32>, tensor<24x50xf32>) -> tensor<2x6x50xf32>
  %u1 = tpc.matmul %m1, %up1 "b s e, e f -> b s f" : (tensor<2x6x24xf32>, tensor<24x50xf32>) -> tensor<2x6x50xf32>
  %s1 = tpc.silu %g1 : (tensor<2x6x50xf32>) -> tensor<2x6x50xf32>
  %f1 = tpc.mul %s1, %u1 : (tensor<2x6x50xf32>, tensor<2x6x50xf32>) -> tensor<2x6x50xf32>
  %d1 = tpc.matmul %f1, %down1 "b s f, f e -> b s e" : (tensor<2x6x50xf32>, tensor<50x24xf32>) -> tensor<2x6x24xf32>
  %x2 = tpc.add %y1, %d1 : (tensor<2x6x24xf32>, tensor<2x6x24xf32>) -> tensor<2x6x24xf32>

  %last = tpc.slice %x2 [0, 5, 0] : (tensor<2x6x24xf32>) -> tensor<2x1x24xf32>
  %z = tpc.reshape %last : (tensor<2x1x24xf32>) -> tensor<2x24xf32>
  %norm = tpc.read @norm : tensor<24xf32>
  %n = tpc.rms_norm %z, %norm epsilon 1.0e-5 : (tensor<2x24xf32>, tensor<24xf32>) -> tensor<2x24xf32>
  %logits = tpc.matmul %n, %words "b e, v e -> b v" : (tensor<2x24xf32>, tensor<37x24xf32>) -> tensor<2x37xf32>
  return %logits : tensor<2x37xf32>
}

func.func @decode(%tokens: tensor<2x1xi64> {tpc.name = "input_ids"},
                  %positions: tensor<2xi64> {tpc.name = "positions"})
    -> (tensor<2x37xf32> {tpc.name = "logits"}) {
  %words = tpc.read @words : tensor<37x24xf32>
  %frequencies = tpc.constant dense<[1.0, 0.1, 0.01]> : tensor<3xf32> : tensor<3xf32>
  // Row i's keys and values go to [i, positions[i], 0, 0].
  %at = tpc.reshape %positions : (tensor<2xi64>) -> tensor<2x1xi64>
  %zeros = tpc.constant dense<0> : tensor<2x2xi64> : tensor<2x2xi64>
  %start = tpc.concat %at, %zeros dim 1 : (tensor<2x1xi64>, tensor<2x2xi64>) -> tensor<2x3xi64>
  %x0 = tpc.embedding %words, %tokens : (tensor<37x24xf32>, tensor<2x1xi64>) -> tensor<2x1x24xf32>

  // Layer 0.
  %anorm0 = tpc.read @l0.anorm : tensor<24xf32>
  %query0 = tpc.read @l0.query : tensor<24x2x2x6xf32>
  %key0 = tpc.read @l0.key : tensor<24x2x6xf32>
  %value0 = tpc.read @l0.value : tensor<24x2x6xf32>
  %out0 = tpc.read @l0.out : tensor<2x2x6x24xf32>
  %mnorm0 = tpc.read @l0.mnorm : tensor<24xf32>
  %gate0 = tpc.read @l0.gate : tensor<24x50xf32>
  %up0 = tpc.read @l0.up : tensor<24x50xf32>
  %down0 = tpc.read @l0.down : tensor<50x24xf32>
  %h0 = tpc.rms_norm %x0, %anorm0 epsilon 1.0e-5 : (tensor<2x1x24xf32>, tensor<24xf32>) -> tensor<2x1x24xf32>
  %q0 = tpc.matmul %h0, %query0 "b s e, e k g d -> b s k g d" : (tensor<2x1x24xf32>, tensor<24x2x2x6xf32>) -> tensor<2x1x2x2x6xf32>
  %k0 = tpc.matmul %h0, %key0 "b s e, e k d -> b s k d" : (tensor<2x1x24xf32>, tensor<24x2x6xf32>) -> tensor<2x1x2x6xf32>
  %v0 = tpc.matmul %h0, %value0 "b s e, e k d -> b s k d" : (tensor<2x1x24xf32>, tensor<24x2x6xf32>) -> tensor<2x1x2x6xf32>
  %qr0 = tpc.rope halves %q0, %at, %frequencies scale 1.0 : (tensor<2x1x2x2x6xf32>, tensor<2x1xi64>, tensor<3xf32>) -> tensor<2x1x2x2x6xf32>
  %kr0 = tpc.rope halves %k0, %at, %frequencies scale 1.0 : (tensor<2x1x2x6xf32>, tensor<2x1xi64>, tensor<3xf32>) -> tensor<2x1x2x6xf32>
  %keys_before0 = tpc.read @l0.keys : tensor<2x10x2x6xf32>
  %keys0 = tpc.update_slice %keys_before0, %kr0, %start : (tensor<2x10x2x6xf32>, tensor<2x1x2x6xf32>, tensor<2x3xi64>) -> tensor<2x10x2x6xf32>
  tpc.write @l0.keys, %keys0 : tensor<2x10x2x6xf32>
  %values_before0 = tpc.read @l0.values : tensor<2x10x2x6xf32>
  %values0 = tpc.update_slice %values_before0, %v0, %start : (tensor<2x10x2x6xf32>, tensor<2x1x2x6xf32>, tensor<2x3xi64>) -> tensor<2x10x2x6xf32>
  tpc.write @l0.values, %values0 : tensor<2x10x2x6xf32>
  %a0 = tpc.attention %qr0, %keys0, %values0 offset %positions scale 0.4082 causal : (tensor<2x1x2x2x6xf32>, tensor<2x10x2x6xf32>, tensor<2x10x2x6xf32>, tensor<2xi64>) -> tensor<2x1x2x2x6xf32>
  %o0 = tpc.matmul %a0, %out0 "b s k g d, k g d e -> b s e" : (tensor<2x1x2x2x6xf32>, tensor<2x2x6x24xf32>) -> tensor<2x1x24xf32>
  %y0 = tpc.add %x0, %o0 : (tensor<2x1x24xf32>, tensor<2x1x24xf32>) -> tensor<2x1x24xf32>
  %m0 = tpc.rms_norm %y0, %mnorm0 epsilon 1.0e-5 : (tensor<2x1x24xf32>, tensor<24xf32>) -> tensor<2x1x24xf32>
  %g0 = tpc.matmul %m0, %gate0 "b s e, e f -> b s f" : (tensor<2x1x24xf32>, tensor<24x50xf32>) -> tensor<2x1x50xf32>
  %u0 = tpc.matmul %m0, %up0 "b s e, e f -> b s f" : (tensor<2x1x24xf32>, tensor<24x50xf32>) -> tensor<2x1x50xf32>
  %s0 = tpc.silu %g0 : (tensor<2x1x50xf32>) -> tensor<2x1x50xf32>
  %f0 = tpc.mul %s0, %u0 : (tensor<2x1x50xf32>, tensor<2x1x50xf32>) -> tensor<2x1x50xf32>
  %d0 = tpc.matmul %f0, %down0 "b s f, f e -> b s e" : (tensor<2x1x50xf32>, tensor<50x24xf32>) -> tensor<2x1x24xf32>
  %x1 = tpc.add %y0, %d0 : (tensor<2x1x24xf32>, tensor<2x1x24xf32>) -> tensor<2x1x24xf32>

  // Layer 1.
  %anorm1 = tpc.read @l1.anorm : tensor<24xf32>
  %query1 = tpc.read @l1.query : tensor<24x2x2x6xf32>
  %key1 = tpc.read @l1.key : tensor<24x2x6xf32>
  %value1 = tpc.read @l1.value : tensor<24x2x6xf32>
  %out1 = tpc.read @l1.out : tensor<2x2x6x24xf32>
  %mnorm1 = tpc.read @l1.mnorm : tensor<24xf32>
  %gate1 = tpc.read @l1.gate : tensor<24x50xf32>
  %up1 = tpc.read @l1.up : tensor<24x50xf32>
  %down1 = tpc.read @l1.down : tensor<50x24xf32>
  %h1 = tpc.rms_norm %x1, %anorm1 epsilon 1.0e-5 : (tensor<2x1x24xf32>, tensor<24xf32>) -> tensor<2x1x24xf32>
  %q1 = tpc.matmul %h1, %query1 "b s e, e k g d -> b s k g d" : (tensor<2x1x24xf32>, tensor<24x2x2x6xf32>) -> tensor<2x1x2x2x6xf32>
  %k1 = tpc.matmul %h1, %key1 "b s e, e k d -> b s k d" : (tensor<2x1x24xf32>, tensor<24x2x6xf32>) -> tensor<2x1x2x6xf32>
  %v1 = tpc.matmul %h1, %value1 "b s e, e k d -> b s k d" : (tensor<2x1x24xf32>, tensor<24x2x6xf32>) -> tensor<2x1x2x6xf32>
  %qr1 = tpc.rope halves %q1, %at, %frequencies scale 1.0 : (tensor<2x1x2x2x6xf32>, tensor<2x1xi64>, tensor<3xf32>) -> tensor<2x1x2x2x6xf32>
  %kr1 = tpc.rope halves %k1, %at, %frequencies scale 1.0 : (tensor<2x1x2x6xf32>, tensor<2x1xi64>, tensor<3xf32>) -> tensor<2x1x2x6xf32>
  %keys_before1 = tpc.read @l1.keys : tensor<2x10x2x6xf32>
  %keys1 = tpc.update_slice %keys_before1, %kr1, %start : (tensor<2x10x2x6xf32>, tensor<2x1x2x6xf32>, tensor<2x3xi64>) -> tensor<2x10x2x6xf32>
  tpc.write @l1.keys, %keys1 : tensor<2x10x2x6xf32>
  %values_before1 = tpc.read @l1.values : tensor<2x10x2x6xf32>
  %values1 = tpc.update_slice %values_before1, %v1, %start : (tensor<2x10x2x6xf32>, tensor<2x1x2x6xf32>, tensor<2x3xi64>) -> tensor<2x10x2x6xf32>
  tpc.write @l1.values, %values1 : tensor<2x10x2x6xf32>
  %a1 = tpc.attention %qr1, %keys1, %values1 offset %positions scale 0.4082 causal : (tensor<2x1x2x2x6xf32>, tensor<2x10x2x6xf32>, tensor<2x10x2x6xf32>, tensor<2xi64>) -> tensor<2x1x2x2x6xf32>
  %o1 = tpc.matmul %a1, %out1 "b s k g d, k g d e -> b s e" : (tensor<2x1x2x2x6xf32>, tensor<2x2x6x24xf32>) -> tensor<2x1x24xf32>
  %y1 = tpc.add %x1, %o1 : (tensor<2x1x24xf32>, tensor<2x1x24xf32>) -> tensor<2x1x24xf32>
  %m1 = tpc.rms_norm %y1, %mnorm1 epsilon 1.0e-5 : (tensor<2x1x24xf32>, tensor<24xf32>) -> tensor<2x1x24xf32>
  %g1 = tpc.matmul %m1, %gate1 "b s e, e f -> b s f" : (tensor<2x1x24xf32>, tensor<24x50xf32>) -> tensor<2x1x50xf32>
  %u1 = tpc.matmul %m1, %up1 "b s e, e f -> b s f" : (tensor<2x1x24xf32>, tensor<24x50xf32>) -> tensor<2x1x50xf32>
  %s1 = tpc.silu %g1 : (tensor<2x1x50xf32>) -> tensor<2x1x50xf32>
  %f1 = tpc.mul %s1, %u1 : (tensor<2x1x50xf32>, tensor<2x1x50xf32>) -> tensor<2x1x50xf32>
  %d1 = tpc.matmul %f1, %down1 "b s f, f e -> b s e" : (tensor<2x1x50xf32>, tensor<50x24xf32>) -> tensor<2x1x24xf32>
  %x2 = tpc.add %y1, %d1 : (tensor<2x1x24xf32>, tensor<2x1x24xf32>) -> tensor<2x1x24xf32>

  %z = tpc.reshape %x2 : (tensor<2x1x24xf32>) -> tensor<2x24xf32>
  %norm = tpc.read @norm : tensor<24xf32>
  %n = tpc.rms_norm %z, %norm epsilon 1.0e-5 : (tensor<2x24xf32>, tensor<24xf32>) -> tensor<2x24xf32>
  %logits = tpc.matmul %n, %words "b e, v e -> b v" : (tensor<2x24xf32>, tensor<37x24xf32>) -> tensor<2x37xf32>
  return %logits : tensor<2x37xf32>
}
