import { beforeAll, expect, it } from 'vitest'
import { rng } from '../../src/graph/random.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { batchNorm2d } from '../../src/nn/conv.ts'
import { layer } from '../../src/nn/layer.ts'
import { linear } from '../../src/nn/layers.ts'
import { imageInput, model, parameterCount } from '../../src/nn/model.ts'
import { mean } from '../../src/ops/reduce.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { Executor } from '../../src/train/executor.ts'
import { initialize, layoutOf, views } from '../../src/train/layout.ts'
import { adamW } from '../../src/train/optimizer.ts'

const [COUNT, CHANNELS, SIDE] = [6, 2, 3]
const net = layer({ bn: batchNorm2d(CHANNELS), head: linear(CHANNELS, 3) }, (self, x: AnyTensor) =>
  self.head(mean(self.bn(x), [2, 3])),
)
const tiny = model({ name: 'bn', config: {}, input: imageInput(CHANNELS, SIDE, SIDE), classes: 3, net })
const layout = layoutOf(tiny.parameters)
const random = rng(4)
const image = Float32Array.from({ length: COUNT * CHANNELS * SIDE * SIDE }, () => 2 + 3 * random.normal())
const label = Int32Array.from({ length: COUNT }, () => random.int(3))

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})
const start = () =>
  new Executor(
    tiny,
    cpu,
    layout,
    { params: initialize(layout, 1) },
    { seed: 0, optimizer: adamW({ weightDecay: 0.1 }) },
  )

/** All pixels of one channel. */
const channel = (c: number): number[] =>
  Array.from(image).filter((_, i) => Math.floor(i / SIDE ** 2) % CHANNELS === c)

it('running statistics follow PyTorch: a tenth of the batch, the variance unbiased', async () => {
  const run = start()
  await run.step({ input: image, label, count: COUNT }, 1, 1e-2)
  const after = views(layout, (await run.state()).params!)
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
  for (let step = 1; step <= 3; step++) await run.step({ input: image, label, count: COUNT }, step, 1e-2)
  const all = await run.predict({ input: image, count: COUNT })
  const first = await run.predict({ input: image.subarray(0, CHANNELS * SIDE ** 2), count: 1 })
  await run.close()
  for (const [i, z] of first.entries()) expect(z).toBeCloseTo(all[i]!, 5)
})

it('buffers are not counted as parameters', () => {
  expect(parameterCount(tiny)).toBe(2 * CHANNELS + 3 * CHANNELS + 3)
})
