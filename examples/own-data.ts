// A custom data set: drawings that are generated on demand and never stored, new ones in each epoch.
//
//   npx tsx examples/own-data.ts [drawings.onnx]

import { vit } from 'onnxgrad/models'
import { adamW, cosine, type Dataset, save, train } from 'onnxgrad/node'

const SIZE = 16
const PIXELS = SIZE * SIZE
const KINDS = ['disc', 'ring', 'square', 'cross']

/** Numbers in [0, 1) that depend only on the seeds (SplitMix32): the same seeds draw the same picture. */
function random(...seeds: readonly number[]): () => number {
  const mix = (h: number): number => {
    const x = Math.imul(h ^ (h >>> 16), 0x21f0aaad)
    const y = Math.imul(x ^ (x >>> 15), 0x735a2d97)
    return (y ^ (y >>> 15)) >>> 0
  }
  let state = seeds.reduce((h, seed) => mix((h + seed + 0x9e3779b9) | 0), 0)
  return () => {
    state = (state + 0x9e3779b9) | 0
    return mix(state) / 2 ** 32
  }
}

/** Draws one kind somewhere, in some size, on noise: pixels in [0, 1] from `at` on. */
function draw(kind: number, next: () => number, pixels: Float32Array, at: number): void {
  const radius = 2.5 + 3 * next()
  const place = () => radius + (SIZE - 2 * radius) * next()
  const [x, y] = [place(), place()]
  for (let i = 0; i < PIXELS; i++) {
    const dx = Math.abs((i % SIZE) + 0.5 - x)
    const dy = Math.abs(Math.floor(i / SIZE) + 0.5 - y)
    const far = Math.hypot(dx, dy)
    const inside = [
      far < radius,
      far < radius && far > radius - 1.5,
      Math.max(dx, dy) < 0.8 * radius,
      Math.max(dx, dy) < radius && Math.min(dx, dy) < 0.8,
    ][kind]
    pixels[at + i] = 0.3 * next() + (inside ? 0.7 : 0)
  }
}

/** Drawings, with the names of the model's input and its target. An epoch is determined by `seed` and `epoch`. */
function drawings(name: string, size: number, series: number): Dataset {
  return {
    name,
    size,
    classes: KINDS,
    *batches({ batch, seed = 0, epoch = 0, shuffle = true, skip = 0 }) {
      for (let start = skip * batch; start < size; start += batch) {
        const count = Math.min(batch, size - start)
        const image = new Float32Array(count * PIXELS)
        const label = new Int32Array(count)
        for (let i = 0; i < count; i++) {
          // Evaluation does not shuffle and should see the same drawings each time.
          const next = shuffle ? random(series, start + i, seed, epoch) : random(series, start + i)
          const kind = Math.floor(KINDS.length * next())
          label[i] = kind
          draw(kind, next, image, i * PIXELS)
        }
        yield { image, label }
      }
    },
  }
}

const model = vit({ image: SIZE, channels: 1, patch: 4, dim: 32, depth: 2, heads: 2, mlp: 64, classes: 4 })
const run = await train(model, {
  data: {
    train: drawings('drawings', 4000, 1),
    test: drawings('other drawings', 1000, 2),
  },
  epochs: 8,
  batch: 50,
  optimizer: adamW({ lr: 3e-3 }),
  schedule: cosine(),
  onEpoch: e => console.log('epoch', e.epoch, 'test accuracy', e.test?.accuracy),
})
const path = process.argv[2] ?? 'drawings.onnx'
await save(run.model, path)
console.log(
  `${path} knows ${KINDS.join(', ')}: ${(100 * Number(run.test?.accuracy)).toFixed(1)} % of new ones`,
)
