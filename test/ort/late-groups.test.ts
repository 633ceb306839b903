import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { rng } from '../../src/graph/random.ts'
import { linear } from '../../src/nn/layers.ts'
import { initialize, layoutOf, views } from '../../src/nn/layout.ts'
import { model } from '../../src/nn/model.ts'
import { tanh } from '../../src/ops/elementwise.ts'
import { adamW, OPTIMIZERS, sgd } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { workerRuntime } from '../../src/runtime/worker-node.ts'
import { regression } from '../../src/tasks/index.ts'
import { fit as learn } from '../../src/train/fit.ts'
import type { FitOptions } from '../../src/train/fit-options.ts'
import type { RunState } from '../../src/train/progress.ts'
import { Trainer } from '../../src/train/trainer.ts'
import type { SingleOptions, SingleStep } from '../../src/train/trainer-options.ts'

const FROM = 3
const LATE = /^(first|second)/
const groups = [
  { match: /^first/, from: FROM, lr: 0.03 },
  { match: /^second/, from: FROM },
  { match: 'second.bias', weightDecay: 0.2 },
]

const net = model({
  inputs: { x: { shape: [3] } },
  layers: { first: linear(3, 4), second: linear(4, 4), third: linear(4, 2) },
  forward: (self, { x }) => ({ y: self.third(tanh(self.second(tanh(self.first(x))))) }),
})
const layout = layoutOf(net.parameters)
const random = rng('late')
const values = (n: number) => Float32Array.from({ length: n }, () => random.normal())
const SIZE = 30
const data = { x: values(SIZE * 3), y: values(SIZE * 2) }
const batchOf = (step: number) => ({
  x: data.x.slice(step * 9, step * 9 + 9),
  y: data.y.slice(step * 6, step * 6 + 6),
})
const start = initialize(layout, 1).map((v, i) => v + 0.01 * i)

let cpu: Runtime
let apart: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
  apart = await workerRuntime('cpu')
})
afterAll(async () => {
  await cpu.close()
  await apart.close()
})

type Options = Omit<SingleOptions, 'task'>

/** Parameters by name after each of several steps, from step `first` on, and the gradient's norms. */
async function stepped(
  options: Options,
  {
    first = 0,
    count,
    params = start,
    runtime = cpu,
  }: { first?: number; count: number; params?: Float32Array; runtime?: Runtime },
) {
  const weights = { model: net, params }
  const run = new Trainer<SingleStep>(runtime, net, { task: regression(), weights, ...options })
  const after: Map<string, Float32Array>[] = []
  const norms: number[] = []
  let flat = params
  for (let step = first; step < first + count; step++) {
    norms.push((await run.step(batchOf(step))).gradNorm)
    flat = (await run.trained()).params
    after.push(views(layout, flat.slice()))
  }
  await run.close()
  return { after, norms, flat }
}

const expectClose = (got: ArrayLike<number>, want: ArrayLike<number>, what: string, within = 2e-6) => {
  expect(got.length).toBe(want.length)
  for (let i = 0; i < want.length; i++)
    expect(Math.abs(got[i]! - want[i]!), `${what}[${i}]`).toBeLessThan(within)
}

describe.each(Object.entries(OPTIMIZERS))('%s', (_, { make }) => {
  const lr = 0.02
  const late = make({ lr, weightDecay: 0.1, groups })

  it('trains the others as if the late groups were frozen, which stay bit for bit', async () => {
    const options = { clipNorm: 0.5 }
    const { after, norms } = await stepped({ ...options, optimizer: late }, { count: FROM })
    const frozen = await stepped(
      { ...options, optimizer: make({ lr, weightDecay: 0.1 }), freeze: LATE },
      { count: FROM },
    )
    expectClose(norms, frozen.norms, 'norm')
    const before = views(layout, start)
    for (const [step, now] of after.entries())
      for (const [name, got] of now) {
        if (LATE.test(name)) expect(got, `${name} after step ${step + 1}`).toEqual(before.get(name))
        else expectClose(got, frozen.after[step]!.get(name)!, name)
      }
  })

  it('then begins with them as a training of its own does', async () => {
    const before = await stepped({ optimizer: late }, { count: FROM })
    const { after } = await stepped({ optimizer: late }, { count: FROM + 1 })
    const anew = make({ lr, weightDecay: 0.1, groups: groups.map(({ from: _, ...g }) => ({ lr, ...g })) })
    const fresh = await stepped({ optimizer: anew }, { first: FROM, count: 1, params: before.flat })
    for (const [name, want] of fresh.after[0]!)
      if (LATE.test(name)) expectClose(after[FROM]!.get(name)!, want, name)
  })

  it('does so in parts of the state, too', async () => {
    const target = { ...cpu.device.target, statePart: 8 }
    const runtime = { ...cpu, device: { ...cpu.device, target } }
    const [one, two] = [
      await stepped({ optimizer: late, clipNorm: 0.5, ema: 0.9 }, { count: FROM + 2 }),
      await stepped({ optimizer: late, clipNorm: 0.5, ema: 0.9 }, { count: FROM + 2, runtime }),
    ]
    expectClose(two.flat, one.flat, 'parameters')
    const before = views(layout, start)
    for (const now of two.after.slice(0, FROM))
      for (const [name, got] of now) if (LATE.test(name)) expect(got).toEqual(before.get(name))
  })
})

describe('a training', () => {
  const base: FitOptions = {
    task: regression(),
    data,
    epochs: 2,
    batch: 3,
    seed: 2,
    threads: 1,
    ema: 0.8,
    weights: { model: net, params: start },
    optimizer: adamW({
      lr: 0.02,
      groups: [
        { match: LATE, from: 5 },
        { match: 'third.bias', from: 8 },
      ],
    }),
  }

  test('of several steps per run is the same, and one resumed before the groups begin has the same bytes', async () => {
    const states: RunState[] = []
    const one = await learn(apart, net, {
      ...base,
      stepsPerRun: 1,
      onStep: async (_, run) => void states.push(await run.state()),
    })
    const many = await learn(apart, net, { ...base, stepsPerRun: 4 })
    expectClose(many.model.params, one.model.params, 'parameters')
    const first = states[0]!.vectors
    const late = (vectors: RunState['vectors'], vector: string) =>
      [...views(layout, vectors[vector]!)].filter(([name]) => LATE.test(name))
    for (const vector of ['params', 'm', 'v', 'ema']) {
      for (const { vectors } of states.slice(0, 5)) expect(late(vectors, vector)).toEqual(late(first, vector))
      expect(late(states[5]!.vectors, vector)).not.toEqual(late(first, vector))
    }
    for (const at of [2, 6]) {
      const again = await learn(apart, net, { ...base, stepsPerRun: 1, resume: states[at]! })
      expect(again.state.vectors).toEqual(one.state.vectors)
    }
  })

  test('with accumulated micro-batches counts steps, not batches', async () => {
    const bytes: string[] = []
    await learn(cpu, net, {
      ...base,
      accumulate: 2,
      epochs: 1 + 1,
      onStep: async (_, run) => {
        const { vectors } = await run.state()
        bytes.push(String(views(layout, vectors.params!).get('first.weight')))
      },
    })
    expect(new Set(bytes.slice(0, 5)).size).toBe(1)
    expect(new Set(bytes.slice(4)).size).toBe(bytes.length - 4)
  })
})

test('SGD with momentum and decay agrees with a calculation in double precision', async () => {
  // y = v (w x): two factors, of which w begins after two steps.
  const pair = model({
    inputs: { x: { shape: [1] } },
    layers: { inner: linear(1, 1), outer: linear(1, 1) },
    forward: (self, { x }) => ({ y: self.outer(self.inner(x)) }),
  })
  const [lr, slow, momentum, decay] = [0.05, 0.02, 0.9, 0.1]
  const optimizer = sgd({
    lr,
    momentum,
    weightDecay: decay,
    groups: [{ match: 'inner.*', from: 2, lr: slow }],
  })
  const weights = { 'inner.weight': [0.5], 'inner.bias': [0.1], 'outer.weight': [-0.7], 'outer.bias': [0.2] }
  const run = new Trainer<SingleStep>(cpu, pair, { task: regression(), weights, optimizer })
  let [w, b, v, c] = [0.5, 0.1, -0.7, 0.2]
  const m = [0, 0, 0, 0]
  for (let step = 1; step <= 6; step++) {
    const [x, y] = [0.3 * step, 1 - 0.2 * step]
    await run.step({ x: [[x]], y: [[y]] })
    const h = w * x + b
    const error = 2 * (v * h + c - y)
    const g = [error * v * x + decay * w, error * v, error * h + decay * v, error]
    const old = [w, b, v, c]
    const next = old.map((p, i) => {
      if (i < 2 && step <= 2) return p
      m[i] = momentum * m[i]! + g[i]!
      return p - (i < 2 ? slow : lr) * m[i]!
    })
    ;[w, b, v, c] = next as [number, number, number, number]
    const { params } = await run.trained()
    expectClose(params, [w, b, v, c], `step ${step}`)
  }
  await run.close()
})

test('the configuration shows when a group begins, and only whole numbers of steps are accepted', () => {
  expect(adamW({ groups: [{ match: 'a', from: 7 }] }).settings.groups).toEqual([{ match: 'a', from: 7 }])
  expect(() => sgd({ groups: [{ match: 'a', from: 1.5 }] })).toThrow(
    'sgd: from of group a must be a whole number of steps, not 1.5',
  )
  expect(() => sgd({ groups: [{ match: 'a', from: -1 }] })).toThrow(
    /from of group a must be a number of at least 0/,
  )
})
