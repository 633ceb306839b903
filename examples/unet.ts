// A small U-Net segments images: each pixel is background, part of a disc, or part of a cross.
//
//   npx tsx examples/unet.ts [shapes.onnx]

import { adam, batchNorm2d, conv2d, layer, model, ops, rng, save, segmentation, train } from 'onnxgrad/node'

const [SIDE, PIXELS] = [16, 16 * 16]

/** Noisy images `[count, 1, 16, 16]` of a disc in front of a cross, and each pixel's class `[count, 16, 16]`. */
function images(count: number, seed: number) {
  const random = rng(seed)
  const between = (low: number, high: number) => low + (high - low) * random.uniform()
  const shape = () => ({ x: between(3, 12), y: between(3, 12), size: between(3, 5) })
  const [image, label] = [new Float32Array(count * PIXELS), new Int32Array(count * PIXELS)]
  for (let i = 0; i < count; i++) {
    const [disc, cross] = [shape(), shape()]
    for (let p = 0; p < PIXELS; p++) {
      const [x, y] = [p % SIDE, Math.floor(p / SIDE)]
      const offsets = [Math.abs(x - cross.x), Math.abs(y - cross.y)]
      const inCross = Math.min(...offsets) < 1 && Math.max(...offsets) < cross.size
      const kind = Math.hypot(x - disc.x, y - disc.y) < disc.size ? 1 : inCross ? 2 : 0
      label[i * PIXELS + p] = kind
      image[i * PIXELS + p] = between(0, 0.4) + (kind ? 0.6 : 0)
    }
  }
  return { image, label }
}

const conv = (from: number, to: number) => conv2d(from, to, 3, { padding: 1 })
/** Two convolutions, each with batch norm and ReLU. */
const block = (from: number, to: number) =>
  layer(
    { a: conv(from, to), normA: batchNorm2d(to), b: conv(to, to), normB: batchNorm2d(to) },
    ['B', from, 'H', 'W'],
    (self, x) => ops.relu(self.normB(self.b(ops.relu(self.normA(self.a(x)))))),
  )

const net = model({
  name: 'unet',
  inputs: { image: { shape: [1, SIDE, SIDE] } },
  layers: { a: block(1, 8), b: block(8, 16), c: block(16, 24), d: block(40, 16), e: conv(24, 3) },
  forward: (self, { image }) => {
    const full = self.a(image) // [B, 8, 16, 16]
    const half = self.b(ops.maxPool2d(full, 2)) // [B, 16, 8, 8]
    const quarter = self.c(ops.maxPool2d(half, 2)) // [B, 24, 4, 4]
    const up = self.d(ops.concat([ops.upsample2d(quarter, 2), half], 1)) // [B, 16, 8, 8]
    return { logits: self.e(ops.concat([ops.upsample2d(up, 2), full], 1)) } // [B, 3, 16, 16]
  },
})

const run = await train(net, {
  task: segmentation(),
  data: { train: images(800, 1), val: images(100, 2), test: images(200, 3) }, // val decides which epoch is kept
  epochs: 5,
  batch: 16,
  optimizer: adam({ lr: 5e-3 }),
  onEpoch: e => console.log(`epoch ${e.epoch}: loss ${e.train.loss}, IoU ${e.val?.iou}`),
})
if (process.argv[2]) await save(run.model, process.argv[2])
console.log(`IoU ${run.test?.iou?.toFixed(3)}, the mean of the three classes`)
