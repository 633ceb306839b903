import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rng } from '../../src/graph/random.ts'
import { batchNorm2d } from '../../src/nn/conv.ts'
import { dropout, linear } from '../../src/nn/layers.ts'
import { layoutOf, views } from '../../src/nn/layout.ts'
import { type Model, model } from '../../src/nn/model.ts'
import { log, mul, sqrt, tanh } from '../../src/ops/elementwise.ts'
import { mean } from '../../src/ops/reduce.ts'
import { adam, adamW, sgd } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { workerRuntime } from '../../src/runtime/worker-node.ts'
import { average, mse, regression, task } from '../../src/tasks/index.ts'
import { Trainer } from '../../src/train/trainer.ts'
import type { SingleOptions, SingleStep } from '../../src/train/trainer-options.ts'
import { counting } from './counting.ts'

let here: Runtime
let apart: Runtime
beforeAll(async () => {
  here = await nodeRuntime('cpu')
  apart = await workerRuntime('cpu')
})
afterAll(async () => {
  await here.close()
  await apart.close()
})

const random = rng('trainer')
const numbers = (...dims: number[]) => ({
  data: Float32Array.from({ length: dims.reduce((a, b) => a * b) }, () => 1 + random.normal()),
  dims,
})
const batchOf = (count: number) => ({ x: numbers(count, 2, 2, 2), y: numbers(count, 3) })
const [first, second, third] = [batchOf(6), batchOf(6), batchOf(4)]

const CHANNELS = 2
const normed = (rate = 0) =>
  model({
    inputs: { x: { shape: [CHANNELS, 2, 2] } },
    layers: { bn: batchNorm2d(CHANNELS), drop: dropout(rate), hidden: linear(CHANNELS, 5), fc: linear(5, 3) },
    forward: (self, { x }) => ({
      y: self.fc(self.drop(tanh(self.hidden(mean(self.bn(x), [2, 3]))))),
    }),
  })

const start = (net: Model, options: Partial<SingleOptions> = {}, runtime = here) =>
  new Trainer<SingleStep>(runtime, net, {
    task: regression(),
    optimizer: adamW({ lr: 0.05, weightDecay: 0.1 }),
    seed: 3,
    threads: 1,
    ...options,
  })

/** Running statistics, and all other parameters, by name. */
async function valuesOf(t: Pick<Trainer, 'trained'>) {
  const { model: m, params } = await t.trained()
  return views(layoutOf(m.parameters), params)
}

const channel = ({ data }: { data: Float32Array }, c: number): number[] =>
  Array.from(data).filter((_, i) => Math.floor(i / 4) % CHANNELS === c)

describe('running statistics of micro-batches', () => {
  test('are updated by each in turn, as PyTorch does', async () => {
    const t = start(normed())
    await t.step([first, second, third])
    const after = await valuesOf(t)
    await t.close()
    for (let c = 0; c < CHANNELS; c++) {
      let [average, variance] = [0, 1]
      for (const { x } of [first, second, third]) {
        const values = channel(x, c)
        const own = values.reduce((a, b) => a + b) / values.length
        const unbiased = values.reduce((n, v) => n + (v - own) ** 2, 0) / (values.length - 1)
        average = 0.9 * average + 0.1 * own
        variance = 0.9 * variance + 0.1 * unbiased
      }
      expect(after.get('bn.running_mean')![c]).toBeCloseTo(average, 5)
      expect(after.get('bn.running_var')![c]).toBeCloseTo(variance, 4)
    }
  })

  test('are the same in a thread of their own, over several steps', async () => {
    const run = async (runtime: Runtime) => {
      const t = start(normed(0.3), { ema: 0.9 }, runtime)
      for (let i = 0; i < 3; i++) await t.step([first, second, third])
      const state = await t.state()
      await t.close()
      return state
    }
    expect(await run(apart)).toEqual(await run(here))
  })
})

test('each micro-batch has a dropout mask of its own', async () => {
  const loss = async (...batch: (typeof first)[]) => {
    const t = start(normed(0.5))
    const result = await t.step(batch.length > 1 ? batch : batch[0]!)
    await t.close()
    return result.loss
  }
  const one = await loss(first)
  expect(await loss(first)).toBe(one)
  expect(Math.abs((await loss(first, first)) - one)).toBeGreaterThan(1e-3)
})

describe('a step that goes wrong', () => {
  /** Where a weight is 0 the loss is not finite. */
  const weighted = (net: ReturnType<typeof normed>) =>
    task(net, {
      targets: { y: { shape: [3] }, weight: { shape: [3] } },
      loss: ({ out, target }) => average(mul(mul(out.y, out.y), log(target.weight))),
    })
  const fine = (b: ReturnType<typeof batchOf>) => ({
    ...b,
    weight: numbers(b.x.dims[0]!, 3).data.map(() => 2),
  })
  const bad = (b: ReturnType<typeof batchOf>) => ({ ...b, weight: fine(b).weight.fill(0, 0, 3) })

  test.each([
    ['a batch', (wrong: boolean) => (wrong ? bad : fine)(first)],
    ['micro-batches', (wrong: boolean) => [fine(second), (wrong ? bad : fine)(first), fine(third)]],
    [
      'micro-batches, the last of them',
      (wrong: boolean) => [fine(second), fine(third), (wrong ? bad : fine)(first)],
    ],
    [
      'many micro-batches',
      (wrong: boolean) => [bad, ...Array(5).fill(fine)].map(f => (wrong ? f : fine)(first)),
    ],
  ] as const)('leaves the state of before, running statistics and all: %s', async (_, batch) => {
    for (const runtime of [here, apart]) {
      const net = normed(0.2)
      const options = { task: weighted(net), ema: 0.9 }
      const [t, clean] = [start(net, options, runtime), start(net, options, runtime)]
      for (const one of [t, clean]) await one.step(batch(false))
      const before = await t.state()
      await expect(t.step(batch(true))).rejects.toThrow(
        /^the loss became -Infinity at step 2; lower the learning rate/,
      )
      expect(await t.state()).toEqual(before)
      expect(t.steps).toBe(1)
      // It goes on as if nothing had happened.
      for (const one of [t, clean]) await one.step(batch(false))
      const after = await t.state()
      expect(after).toEqual(await clean.state())
      expect(Object.values(after.vectors).every(v => v.every(Number.isFinite))).toBe(true)
      await t.close()
      await clean.close()
    }
  })

  test('for its task, which cannot be put together from micro-batches, leaves a trainer that works', async () => {
    const net = normed()
    const root = task(net, {
      targets: { y: { shape: [3] } },
      loss: ({ out, target }) => sqrt(mse(out.y, target.y)),
    })
    const [t, clean] = [start(net, { task: root }), start(net, { task: root })]
    await expect(t.step([first, second])).rejects.toThrow('not a weighted sum of averages')
    expect(t.steps).toBe(0)
    expect((await t.state()).step).toBe(0)
    for (const one of [t, clean]) await one.step(first)
    expect(await t.state()).toEqual(await clean.state())
    await t.close()
    await clean.close()
  })
})

test('what is asked for before a step has answered comes after it', async () => {
  const [t, u] = [start(normed()), start(normed())]
  const inTurn = async () => {
    await u.step(first)
    await u.step(second)
    return [
      await u.state(),
      await u.trained(),
      await u.predict({ x: first.x }),
      await u.evaluate(third),
    ] as const
  }
  const steps = [t.step(first), t.step(second)]
  const [state, trained, answer, evaluation] = await Promise.all([
    t.state(),
    t.trained(),
    t.predict({ x: first.x }),
    t.evaluate(third),
  ])
  await Promise.all(steps)
  const expected = await inTurn()
  expect([state, trained.params, answer, evaluation]).toEqual([
    expected[0],
    expected[1].params,
    expected[2],
    expected[3],
  ])
  await t.close()
  await u.close()
})

describe('frozen parameters', () => {
  const freeze = ['hidden.*', 'bn.*']

  test('keep their values bit for bit, and have no moments and no gradient', async () => {
    const [t, all] = [start(normed(), { freeze, ema: 0.9 }), start(normed(), { ema: 0.9 })]
    const before = await valuesOf(t)
    await t.step(first)
    const [after, { vectors }] = [await valuesOf(t), await t.state()]
    const changed = [...before.keys()].filter(name =>
      before.get(name)!.some((v, i) => v !== after.get(name)![i]),
    )
    expect(changed).toEqual(['bn.running_mean', 'bn.running_var', 'fc.weight', 'fc.bias'])
    const sizes = Object.fromEntries(Object.entries(vectors).map(([name, v]) => [name, v.length]))
    expect(sizes).toEqual({ params: 18, m: 18, v: 18, ema: 18, frozen: 19, buffers: 4 })
    const productsOf = async ({ executor }: Trainer) => {
      const { program } = await executor.prepare('', { batch: 6 })
      expect(program.writes.map(v => v.name)).not.toContain('frozen')
      return program.bytes.length
    }
    expect(await productsOf(t as unknown as Trainer)).toBeLessThan(
      await productsOf(all as unknown as Trainer),
    )
    await t.close()
    await all.close()
  })

  test('learn the rest as if their gradients were not used', async () => {
    const groups = [{ match: /^(hidden|bn)\./, lr: 0 }]
    const [frozen, still] = [
      start(normed(), { freeze, optimizer: sgd({ lr: 0.1 }) }),
      start(normed(), { optimizer: sgd({ lr: 0.1, groups }) }),
    ]
    for (const t of [frozen, still]) for (const b of [first, second]) await t.step(b)
    expect(await valuesOf(frozen)).toEqual(await valuesOf(still))
    await frozen.close()
    await still.close()
  })
})

describe('what the runtime holds', () => {
  test('does not grow with steps, copies, evaluations or failures, and is let go of at the end', async () => {
    const { runtime, open } = counting(apart)
    const net = model({
      inputs: { x: { shape: [CHANNELS, 2, 2] } },
      layers: { bn: batchNorm2d(CHANNELS), q: linear(CHANNELS, 3), target: linear(CHANNELS, 3) },
      forward: (self, { x }) => {
        const h = mean(self.bn(x), [2, 3])
        return { y: self.q(h), aim: self.target(h) }
      },
    })
    const t = new Trainer<SingleStep>(runtime, net, {
      task: regression({ output: 'y' }),
      train: ['q.*', 'bn.*'],
      optimizer: adam({ lr: 0.01 }),
      ema: 0.9,
    })
    const round = async () => {
      await t.step(first)
      await t.step([second, third, first])
      await t.copy('q', 'target', { rate: 0.5 })
      await t.copy('q', 'target')
      await t.step(second)
      await t.predict({ x: first.x })
      await t.evaluate({ ...first })
      await expect(t.step({ x: first.x })).rejects.toThrow('has no y')
      const huge = { ...first, y: { ...first.y, data: first.y.data.map(() => 3e38) } }
      await expect(t.step(huge)).rejects.toThrow('became Infinity')
      await expect(t.step([second, huge])).rejects.toThrow('became Infinity')
    }
    const before = await t.checkpoint()
    await round()
    await t.close()
    expect({ ...open }).toEqual({ sessions: 0, held: 0 })

    const again = new Trainer<SingleStep>(runtime, net, {
      task: regression({ output: 'y' }),
      train: ['q.*', 'bn.*'],
      optimizer: adam({ lr: 0.01 }),
      ema: 0.9,
      resume: before,
    })
    const copies = async (times: number) => {
      for (let i = 0; i < times; i++) {
        await again.step(i % 2 ? first : [second, third])
        await again.copy('q', 'target')
        await again.evaluate({ ...first })
        await again.predict({ x: third.x })
      }
      return open.held
    }
    const settled = await copies(8)
    expect(await copies(24)).toBe(settled)
    // More sizes than programs are kept for.
    for (let count = 2; count < 16; count++) await again.step(batchOf(count))
    for (let count = 2; count < 10; count++) await again.step([batchOf(count), batchOf(count + 1)])
    await again.close()
    expect({ ...open }).toEqual({ sessions: 0, held: 0 })
  })

  test('is nothing where options do not fit', () => {
    const { runtime, open } = counting(here)
    expect(() => start(normed(), { weights: { nothing: [1] } }, runtime)).toThrow('no parameter nothing')
    const resume = { step: 1, steps: { '': 1 }, vectors: { m: new Float32Array(3) } }
    expect(() => start(normed(), { resume }, runtime)).toThrow('m has 3 values')
    expect({ ...open }).toEqual({ sessions: 0, held: 0 })
  })
})

test('two tasks share parameters and running statistics, by batches and micro-batches, and are resumed', async () => {
  const net = normed(0.3)
  const options = {
    steps: {
      one: { task: regression(), train: ['bn.*', 'fc.*'], optimizer: adam({ lr: 0.05 }), ema: 0.9 },
      two: {
        task: regression({ loss: 'l1' as const }),
        train: ['hidden.*', 'fc.*'],
        optimizer: sgd({ lr: 0.1 }),
      },
    },
    seed: 3,
    threads: 1,
  }
  const round = async (t: Trainer<typeof options.steps>) => {
    await t.step('one', [first, second, third])
    await t.step('two', first)
    await t.step('one', third)
    await t.step('two', [third, second])
    return t.state()
  }
  const states = []
  for (const runtime of [here, apart]) {
    const t = new Trainer<typeof options.steps>(runtime, net, options)
    states.push(await round(t))
    const saved = await t.checkpoint()
    states.push(await round(t))
    const again = new Trainer<typeof options.steps>(runtime, net, { ...options, resume: saved })
    states.push(await round(again))
    await t.close()
    await again.close()
  }
  const [once, twice, resumed, ...others] = states
  expect(once!.steps).toEqual({ one: 2, two: 2 })
  expect(resumed).toEqual(twice)
  expect(others).toEqual([once, twice, twice])
  // What both train has moments of the one that keeps some, and the average of the one that wants it.
  expect(Object.keys(once!.vectors).sort()).toEqual([
    'buffers',
    'one.ema.one',
    'one.ema.one+two',
    'one.m.one',
    'one.m.one+two',
    'one.v.one',
    'one.v.one+two',
    'params.one',
    'params.one+two',
    'params.two',
  ])
})

test('a copy is exact, also between values of very different size', async () => {
  const twins = model({
    inputs: { x: { shape: [2] } },
    layers: { a: linear(2, 2), b: linear(2, 2) },
    forward: (self, { x }) => ({ y: self.b(self.a(x)) }),
  })
  const weights = { 'a.weight': [1e-30, 0.1, 3, -7e12], 'b.weight': [3e30, -1e25, 1e-30, 0.3] }
  const t = new Trainer<SingleStep>(here, twins, { task: regression(), weights })
  await t.copy('a', 'b')
  const values = await valuesOf(t)
  expect(values.get('b.weight')).toEqual(Float32Array.from(weights['a.weight']))
  expect(values.get('a.weight')).toEqual(Float32Array.from(weights['a.weight']))
  await expect(t.copy('a', 'c')).rejects.toThrow('copy: a.weight has no counterpart c.weight')
  await t.close()
})
