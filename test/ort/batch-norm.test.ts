import { beforeAll, expect, it } from 'vitest'
import { rng } from '../../src/graph/random.ts'
import { batchNorm2d } from '../../src/nn/conv.ts'
import { linear } from '../../src/nn/layers.ts'
import { layoutOf, views } from '../../src/nn/layout.ts'
import { imageInput, model, parameterCount } from '../../src/nn/model.ts'
import { mean } from '../../src/ops/reduce.ts'
import { adamW } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { classification } from '../../src/tasks/index.ts'
import { Trainer } from '../../src/train/trainer.ts'
import type { SingleStep } from '../../src/train/trainer-options.ts'

const [COUNT, CHANNELS, SIDE] = [6, 2, 3]
const tiny = model({
  name: 'bn',
  inputs: { image: imageInput(CHANNELS, SIDE, SIDE) },
  layers: { bn: batchNorm2d(CHANNELS), head: linear(CHANNELS, 3) },
  forward: (self, { image }) => ({ logits: self.head(mean(self.bn(image), [2, 3])) }),
})
const layout = layoutOf(tiny.parameters)
const random = rng(4)
const image = Float32Array.from({ length: COUNT * CHANNELS * SIDE * SIDE }, () => 2 + 3 * random.normal())
const label = Int32Array.from({ length: COUNT }, () => random.int(3))

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})
const start = () =>
  new Trainer<SingleStep>(cpu, tiny, {
    task: classification(),
    seed: 1,
    optimizer: adamW({ lr: 1e-2, weightDecay: 0.1 }),
  })

/** All pixels of one channel. */
const channel = (c: number): number[] =>
  Array.from(image).filter((_, i) => Math.floor(i / SIDE ** 2) % CHANNELS === c)

it('running statistics follow PyTorch: a tenth of the batch, the variance unbiased', async () => {
  const run = start()
  await run.step({ image, label })
  const after = views(layout, (await run.trained()).params)
  await run.close()
  for (let c = 0; c < CHANNELS; c++) {
    const values = channel(c)
    const average = values.reduce((a, b) => a + b, 0) / values.length
    const unbiased = values.reduce((n, v) => n + (v - average) ** 2, 0) / (values.length - 1)
    expect(after.get('bn.running_mean')![c]).toBeCloseTo(0.1 * average, 5)
    expect(after.get('bn.running_var')![c]).toBeCloseTo(0.9 + 0.1 * unbiased, 4)
  }
})

it('evaluation uses the running statistics, so that one image alone gives what it gives in a batch', async () => {
  const run = start()
  for (let step = 1; step <= 3; step++) await run.step({ image, label })
  const logits = async (pixels: Float32Array) =>
    (await run.predict({ image: pixels })).logits!.data as Float32Array
  const all = await logits(image)
  const first = await logits(image.subarray(0, CHANNELS * SIDE ** 2))
  await run.close()
  expect(first).toHaveLength(3)
  for (const [i, z] of first.entries()) expect(z).toBeCloseTo(all[i]!, 5)
})

it('buffers are not counted as parameters', () => {
  expect(parameterCount(tiny)).toBe(2 * CHANNELS + 3 * CHANNELS + 3)
})

it('a batch with a single value per channel leaves running statistics that are numbers', async () => {
  const flat = model({
    inputs: { x: { shape: [CHANNELS, 1, 1] } },
    layers: { bn: batchNorm2d(CHANNELS), head: linear(CHANNELS, 3) },
    forward: (self, { x }) => ({ logits: self.head(mean(self.bn(x), [2, 3])) }),
  })
  const run = new Trainer<SingleStep>(cpu, flat, { task: classification() })
  await run.step({ x: [[[[3]], [[5]]]], label: [1] })
  const after = views(layoutOf(flat.parameters), (await run.trained()).params)
  await run.close()
  expect([...after.get('bn.running_mean')!].map(v => Math.round(v * 1e6) / 1e6)).toEqual([0.3, 0.5])
  for (const v of after.get('bn.running_var')!) expect(v).toBeCloseTo(0.9, 6)
})
