import { beforeAll, expect, test } from 'vitest'
import { vit } from '../../models/index.ts'
import { rng } from '../../src/graph/random.ts'
import { batchNorm2d } from '../../src/nn/conv.ts'
import { linear } from '../../src/nn/layers.ts'
import { initialize, layoutOf, partsOf } from '../../src/nn/layout.ts'
import { imageInput, type Model, model } from '../../src/nn/model.ts'
import { mean } from '../../src/ops/reduce.ts'
import { adamW, sgd } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { classification } from '../../src/tasks/index.ts'
import type { State } from '../../src/train/step/held.ts'
import { Trainer } from '../../src/train/trainer.ts'
import type { SingleOptions, SingleStep } from '../../src/train/trainer-options.ts'

const small = vit({
  image: 8,
  channels: 1,
  patch: 4,
  dim: 8,
  depth: 2,
  heads: 2,
  mlp: 8,
  classes: 4,
  dropout: 0.1,
})
const normed = model({
  name: 'bn',
  inputs: { image: imageInput(1, 8) },
  layers: { bn: batchNorm2d(1), head: linear(1, 4) },
  forward: (self, { image }) => ({ logits: self.head(mean(self.bn(image), [2, 3])) }),
})
const random = rng(2)
const image = Float32Array.from({ length: 8 * 64 }, () => random.uniform())
const label = Int32Array.from({ length: 8 }, (_, i) => i % 4)

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

type Options = Omit<SingleOptions, 'task'>

/** Three steps with state in parts of at least so many values. */
async function trained(of: Model, statePart: number, options: Options): Promise<State> {
  const target = { ...cpu.device.target, statePart }
  const runtime = { ...cpu, device: { ...cpu.device, target } }
  const params = initialize(layoutOf(of.parameters), 1)
  const run = new Trainer<SingleStep>(runtime, of, {
    task: classification(),
    weights: { model: of, params },
    ...options,
  })
  run.lr = 0.01
  for (let step = 1; step <= 3; step++) await run.step({ image, label })
  const { logits } = await run.predict({ image })
  const { vectors } = await run.state()
  await run.close()
  return { ...vectors, logits: logits!.data as Float32Array }
}

const expectClose = (got: Float32Array, want: Float32Array): void => {
  expect(got).toHaveLength(want.length)
  expect(Math.max(...got.map((v, i) => Math.abs(v - want[i]!)))).toBeLessThan(1e-6)
}

const groups = [
  { match: /^blocks\.1\./, lr: 0.005 },
  { match: 'head.*', weightDecay: 0.5 },
]
test.each<[string, Model, Options]>([
  ['Adam with groups and dropout', small, { seed: 3, optimizer: adamW({ lr: 0.01, groups }) }],
  ['momentum', small, { seed: 3, optimizer: sgd({ momentum: 0.9 }) }],
  ['batch norm with running statistics', normed, { seed: 3, optimizer: adamW({ weightDecay: 0.1 }) }],
])('state in parts trains to the same values: %s', async (_, of, options) => {
  expect(partsOf(layoutOf(of.parameters), 3).length).toBeGreaterThan(1)
  const [parts, whole] = [await trained(of, 3, options), await trained(of, 1e9, options)]
  expect(Object.keys(parts)).toEqual(Object.keys(whole))
  for (const [name, values] of Object.entries(whole)) expectClose(parts[name]!, values)
})

test('the norm that clips is that of all parts together', async () => {
  const options = { seed: 3, optimizer: sgd({ lr: 0.1 }), clipNorm: 0.01 }
  const [parts, whole] = [await trained(small, 100, options), await trained(small, 1e9, options)]
  expectClose(parts.params!, whole.params!)
})

test('a layout in parts has every parameter once, at its place', () => {
  const layout = layoutOf(small.parameters)
  for (const least of [1, 100, 400, 1e9]) {
    const parts = partsOf(layout, least)
    const slots = parts.flatMap(p => p.slots.map(s => ({ ...s, offset: s.offset + p.offset })))
    expect(slots).toEqual(layout.slots)
    expect(parts.reduce((n, p) => n + p.size, 0)).toBe(layout.size)
    expect(parts.slice(0, -1).every(p => p.size >= least)).toBe(true)
  }
})
