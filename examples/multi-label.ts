// Multi-label classification: which of four lines does an image show? Any number of them may be present.
//
//   npx tsx examples/multi-label.ts [lines.onnx]

import { adam, conv2d, imageInput, linear, model, multiLabel, ops, rng, save, train } from 'onnxgrad/node'

const SIDE = 12
const LINES = ['horizontal', 'vertical', 'diagonal', 'antidiagonal']

/** Images of noise `[count, 1, 12, 12]` with lines drawn over it, and which of the lines are there `[count, 4]`. */
function images(count: number, seed: number) {
  const random = rng(seed)
  const image = Float32Array.from({ length: count * SIDE * SIDE }, () => 0.4 * random.uniform())
  const labels = Array.from({ length: count }, (_, i) => {
    const present = LINES.map(() => random.int(2))
    const [row, column] = [random.int(SIDE), random.int(SIDE)]
    for (let k = 0; k < SIDE; k++) {
      const pixels = [row * SIDE + k, k * SIDE + column, k * SIDE + k, k * SIDE + SIDE - 1 - k]
      for (const [line, pixel] of pixels.entries()) if (present[line]) image[i * SIDE * SIDE + pixel] = 1
    }
    return present
  })
  return { image, labels }
}

const net = model({
  name: 'lines',
  inputs: { image: imageInput(1, SIDE) },
  layers: { conv1: conv2d(1, 8, 3), conv2: conv2d(8, 16, 3), out: linear(256, LINES.length) },
  forward: (self, { image }) => {
    const features = ops.relu(self.conv2(ops.relu(self.conv1(image)))) // [B, 16, 8, 8]
    const pooled = ops.maxPool2d(features, 2) // [B, 16, 4, 4]
    return { logits: self.out(ops.reshape(pooled, [image.shape[0], 256])) }
  },
})

const run = await train(net, {
  task: multiLabel(),
  data: { train: images(4000, 1), test: images(1000, 2) },
  epochs: 6,
  optimizer: adam({ lr: 3e-3 }),
  onEpoch: e =>
    console.log(`epoch ${e.epoch}: loss ${e.train.loss.toFixed(4)}, test F1 ${e.test?.f1?.toFixed(4)}`),
})
if (process.argv[2]) await save({ ...run.model, classes: LINES }, process.argv[2])
console.log(`F1 ${run.test?.f1?.toFixed(4)}, accuracy ${run.test?.accuracy?.toFixed(4)}`)
