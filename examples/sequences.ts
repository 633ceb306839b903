// Sequences of different lengths: at each position, the largest number so far. Masks keep padding out of the loss.
//
//   npx tsx examples/sequences.ts [largest.onnx]

import {
  adam,
  embedding,
  encoderBlocks,
  languageModel,
  layerNorm,
  linear,
  model,
  pad,
  rng,
  save,
  train,
} from 'onnxgrad/node'

const NUMBERS = 10

/** Sequences of 3 to 32 numbers below 10; small numbers are frequent. */
function sequences(count: number, seed: number) {
  const random = rng(seed)
  const tokens = Array.from({ length: count }, () =>
    Array.from({ length: 3 + random.int(30) }, () => random.int(random.int(NUMBERS) + 1)),
  )
  const label = tokens.map(row => row.map((_, i) => Math.max(...row.slice(0, i + 1))))
  // Batches have `tokens`, `label` and `mask`, each [batch, T], with T the shortest of these lengths that fits.
  return pad({ tokens, label }, { T: [8, 16, 32] })
}

const net = model({
  name: 'largest',
  inputs: { tokens: { shape: ['T'], dtype: 'int32' } }, // one model for all lengths
  layers: {
    embed: embedding(NUMBERS, 32),
    // Causal: no position sees those after it, so none sees the padding.
    blocks: encoderBlocks(1, { dim: 32, heads: 4, mlp: 64, causal: true }),
    norm: layerNorm(32),
    out: linear(32, NUMBERS),
  },
  forward: (self, { tokens }) => {
    const features = self.blocks.reduce((x, block) => block(x), self.embed(tokens)) // [B, T, 32]
    return { logits: self.out(self.norm(features)) } // [B, T, 10]
  },
})

const run = await train(net, {
  task: languageModel({ mask: true }),
  data: { train: sequences(2000, 1), test: sequences(500, 2) },
  epochs: 4,
  batch: 50,
  optimizer: adam({ lr: 5e-3 }),
  onEpoch: e =>
    console.log(`epoch ${e.epoch}: loss ${e.train.loss.toFixed(4)}, test ${e.test?.loss.toFixed(4)}`),
})
if (process.argv[2]) await save(run.model, process.argv[2])
console.log(`accuracy ${run.test?.accuracy?.toFixed(4)} over all positions that are not padding`)
