import { beforeAll, describe, expect, it } from 'vitest'
import { vit } from '../../models/index.ts'
import { nodesOf } from '../../src/graph/graph.ts'
import { rng } from '../../src/graph/random.ts'
import { initialize, layoutOf, views } from '../../src/nn/layout.ts'
import { adam, adamW, sgd } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { classification } from '../../src/tasks/index.ts'
import { Trainer } from '../../src/train/trainer.ts'
import type { SingleOptions, SingleStep } from '../../src/train/trainer-options.ts'

const config = { image: 8, channels: 1, patch: 4, dim: 16, depth: 2, heads: 2, mlp: 24, classes: 4 }
const model = vit(config)
const layout = layoutOf(model.parameters)
const params = initialize(layout, 1)

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

/** `count` noise images whose brightness tells their class. */
function images(count: number, seed: number) {
  const random = rng(seed)
  const label = Int32Array.from({ length: count }, () => random.int(4))
  const image = new Float32Array(count * 64).map(
    (_, i) => label[Math.floor(i / 64)]! / 4 + random.uniform() / 4,
  )
  return { image, label }
}

type Options = Partial<SingleOptions<'accuracy'>>
/** A training that has done `step` steps. */
const trainer = (options: Options = {}, runtime = cpu, net = model, step = 0) =>
  new Trainer<SingleStep<'accuracy'>>(runtime, net, {
    task: classification(),
    seed: 3,
    optimizer: adam(),
    resume: { step, steps: { '': step }, vectors: { params } },
    ...options,
  })

async function paramsAfter(options: Options, steps = 1): Promise<Float32Array> {
  const run = trainer(options)
  for (let i = 1; i <= steps; i++) await run.step(images(8, i))
  const { params: after } = (await run.state()).vectors
  await run.close()
  return after!
}

const norm = (a: Float32Array): number => Math.sqrt(a.reduce((n, x) => n + x * x, 0))

describe('a training step', () => {
  it('decays weights, but no bias, norm, CLS token or position', async () => {
    const [plain, decayed] = [
      await paramsAfter({ optimizer: adamW({ lr: 0.1, weightDecay: 0 }) }),
      await paramsAfter({ optimizer: adamW({ lr: 0.1, weightDecay: 0.5 }) }),
    ]
    const exempt: string[] = []
    for (const [name, before] of views(layout, params)) {
      const a = views(layout, plain).get(name)!
      const b = views(layout, decayed).get(name)!
      const shrunk = a.every((x, i) => Math.abs(x - 0.05 * before[i]! - b[i]!) < 1e-6)
      if (a.every((x, i) => x === b[i])) exempt.push(name)
      else expect([name, shrunk]).toEqual([name, true])
    }
    const expected = [...model.parameters.keys()].filter(n => /bias$|norm|cls_token|pos_embed/.test(n))
    expect(exempt).toEqual(expected)
  })

  it('scales a gradient down to the clip norm and leaves a smaller one alone', async () => {
    const optimizer = sgd({ lr: 1 })
    const free = await paramsAfter({ optimizer })
    const length = norm(free.map((x, i) => x - params[i]!))
    const clipped = await paramsAfter({ optimizer, clipNorm: length / 10 })
    expect(norm(clipped.map((x, i) => x - params[i]!))).toBeCloseTo(length / 10, 4)
    const loose = await paramsAfter({ optimizer, clipNorm: length * 10 })
    loose.forEach((x, i) => {
      expect(x).toBeCloseTo(free[i]!, 6)
    })
  })

  it('learns: the loss falls under half of its start', async () => {
    const run = trainer({ optimizer: adam({ lr: 3e-3 }) })
    const losses: number[] = []
    for (let i = 1; i <= 60; i++) losses.push((await run.step(images(8, i))).loss)
    await run.close()
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2)
  })

  it('takes batches of other sizes than the one it was prepared for', async () => {
    const run = trainer()
    const first = await run.step(images(8, 1))
    const second = await run.step(images(3, 2))
    await run.close()
    expect([first.loss, second.loss].every(Number.isFinite)).toBe(true)
    expect([0, 1, 2, 3]).toContain(Math.round(3e6 * second.accuracy) / 1e6)
  })

  it('gives the same losses on the web runtime', async () => {
    const wasm = await nodeRuntime('wasm')
    const runs = [trainer(), trainer({}, wasm)]
    for (const run of runs) run.lr = 1e-2
    for (let i = 1; i <= 5; i++) {
      const [a, b] = [await runs[0]!.step(images(8, i)), await runs[1]!.step(images(8, i))]
      expect(b.loss).toBeCloseTo(a.loss, 4)
      expect(b.accuracy).toBe(a.accuracy)
    }
    for (const run of runs) await run.close()
  })
})

describe('dropout', () => {
  const dropping = vit({ ...config, dropout: 0.5 })

  it('changes the loss of a step, differently at each step, but the same for the same seed', async () => {
    const loss = async (seed: number, step: number, net = dropping) => {
      const run = trainer({ seed }, cpu, net, step - 1)
      const { loss: value } = await run.step(images(8, 1))
      await run.close()
      return value
    }
    const plain = await loss(3, 1, model)
    const values = [await loss(3, 1), await loss(3, 2), await loss(4, 1)]
    expect(new Set([plain, ...values]).size).toBe(4)
    expect(await loss(3, 1)).toBe(values[0])
  })

  it('of whole branches leaves some images to their shortcuts, more of them in later blocks', async () => {
    const skipping = vit({ ...config, dropPath: 0.5 })
    const rates = nodesOf(skipping.graph).flatMap(n => (n.op.random ? [n.attrs.rate] : []))
    expect(rates).toEqual([0.5, 0.5]) // two branches of the second block; none of the first
    const run = trainer({ optimizer: adam({ lr: 3e-3 }) }, cpu, skipping)
    const losses: number[] = []
    for (let i = 1; i <= 60; i++) losses.push((await run.step(images(8, i))).loss)
    await run.close()
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2)
    const [with_, without] = [trainer({}, cpu, skipping), trainer()]
    const { image } = images(5, 9)
    expect(await with_.predict({ image })).toEqual(await without.predict({ image }))
    await with_.close()
    await without.close()
  })

  it('is off in evaluation', async () => {
    const [with_, without] = [trainer({}, cpu, dropping), trainer()]
    const { image } = images(5, 9)
    expect(await with_.predict({ image })).toEqual(await without.predict({ image }))
    await with_.close()
    await without.close()
  })
})
