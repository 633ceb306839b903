// A Siamese network: do two images show the same digit? One encoder, called on both.
//
//   npx tsx examples/siamese.ts [same.onnx]

import { mlp } from 'onnxgrad/models'
import {
  adam,
  type ImageDataset,
  linear,
  mnist,
  model,
  multiLabel,
  ops,
  rng,
  save,
  train,
} from 'onnxgrad/node'

const PIXELS = 28 * 28

/** Random pairs of images, half of them of the same digit; and for each pair whether it is `[count, 1]`. */
function pairs({ images, labels, size }: ImageDataset, count: number, seed: number) {
  const random = rng(seed)
  const [left, right] = [new Float32Array(count * PIXELS), new Float32Array(count * PIXELS)]
  const copy = (index: number, to: Float32Array, pair: number) => {
    for (let p = 0; p < PIXELS; p++) to[pair * PIXELS + p] = Number(images[index * PIXELS + p]) / 255
  }
  const same = Array.from({ length: count }, (_, pair) => {
    const i = random.int(size)
    let j = random.int(size)
    while ((labels[i] === labels[j]) !== (pair % 2 === 0)) j = random.int(size)
    copy(i, left, pair)
    copy(j, right, pair)
    return [labels[i] === labels[j]]
  })
  return { left, right, labels: same }
}

const net = model({
  name: 'siamese',
  inputs: { left: { shape: [1, 28, 28] }, right: { shape: [1, 28, 28] } },
  // The encoder's `classes` are the size of its embedding of an image.
  layers: { encoder: mlp({ image: 28, channels: 1, hidden: [128], classes: 32 }), out: linear(32, 1) },
  forward: (self, { left, right }) => {
    const [a, b] = [self.encoder({ image: left }).logits, self.encoder({ image: right }).logits]
    return { logits: self.out(ops.abs(ops.sub(a, b))) }
  },
})

const digits = await mnist({ data: 'digits' }) // the 10,000 digits bundled with onnxgrad
const run = await train(net, {
  task: multiLabel(), // one label: whether the digits are the same
  data: { train: pairs(digits.train, 10_000, 1), test: pairs(digits.test, 2000, 2) },
  epochs: 4,
  optimizer: adam({ lr: 2e-3 }),
  onEpoch: e =>
    console.log(`epoch ${e.epoch}: loss ${e.train.loss.toFixed(4)}, test accuracy ${e.test?.accuracy}`),
})
if (process.argv[2]) await save(run.model, process.argv[2])
console.log(`accuracy ${run.test?.accuracy?.toFixed(3)} on pairs of digits that were not trained on`)
