import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rng } from '../../src/graph/random.ts'
import { linear } from '../../src/nn/layers.ts'
import { initialize, layoutOf, views } from '../../src/nn/layout.ts'
import { model } from '../../src/nn/model.ts'
import { abs, add, mul, sqrt, sub, tanh } from '../../src/ops/elementwise.ts'
import { mean } from '../../src/ops/reduce.ts'
import { adam, sgd } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { l1, l2, mse, ratio, task } from '../../src/tasks/index.ts'
import { Trainer } from '../../src/train/trainer.ts'
import type { SingleStep } from '../../src/train/trainer-options.ts'

// Means over uneven batches, masks and micro-batches are those of the whole, computed here in double precision.

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})
afterAll(() => cpu.close())

const N = 37
const random = rng('exactness')
const rows = Array.from({ length: N }, () => Array.from({ length: 3 }, () => random.normal()))
const y = rows.map(([a, b, c]) => [a! * b!, c!])
const mask = rows.map((_, i) => [i % 3 ? 1 : 0, i % 5 ? 1 : 0.25])
const whole = { x: rows, y, mask }
type Batch = typeof whole
const part = (from: number, to: number): Batch => ({
  x: rows.slice(from, to),
  y: y.slice(from, to),
  mask: mask.slice(from, to),
})
const PARTS = [part(0, 5), part(5, 6), part(6, 25), part(25, N)]

const make = () =>
  model({
    inputs: { x: { shape: [3] } },
    layers: { a: linear(3, 8), b: linear(8, 2) },
    forward: (self, { x }) => ({ y: self.b(tanh(self.a(x))) }),
  })

const net = make()
const fit = task(net, {
  targets: { y: { shape: [2] }, mask: { shape: [2] } },
  // Two averages with counts of their own, one of them weighted.
  loss: ({ out, target }) => add(mse(out.y, target.y, target.mask), mul(l1(out.y, target.y), 0.5)),
  regularizer: ({ self }) => mul(l2(self.a.weight, self.b.bias), 0.01),
  metrics: {
    masked: ({ out, target }) => mse(out.y, target.y, target.mask),
    mae: ({ out, target }) => l1(out.y, target.y),
    rmse: ({ out, target }) => sqrt(mse(out.y, target.y)),
    share: ({ out, target }) => ratio(abs(out.y), abs(target.y)),
  },
})

const start0 = initialize(layoutOf(net.parameters), 3)
const start = () =>
  new Trainer<SingleStep<'masked' | 'mae' | 'rmse' | 'share'>>(cpu, net, {
    task: fit,
    optimizer: sgd({ lr: 0.1 }),
    seed: 3,
  })

/** What the task means, in double precision, from the model's own answers. */
function expected(answers: ArrayLike<number>): Record<string, number> {
  const all = y.flatMap((row, i) =>
    row.map((t, k) => ({ d: answers[2 * i + k]! - t, t, p: answers[2 * i + k]!, w: mask[i]![k]! })),
  )
  const sum = (of: (e: (typeof all)[number]) => number): number => all.reduce((n, e) => n + of(e), 0)
  const masked = sum(e => e.w * e.d ** 2) / sum(e => e.w)
  const mae = sum(e => Math.abs(e.d)) / all.length
  const rmse = Math.sqrt(sum(e => e.d ** 2) / all.length)
  return {
    loss: masked + 0.5 * mae,
    masked,
    mae,
    rmse,
    share: sum(e => Math.abs(e.p)) / sum(e => Math.abs(e.t)),
  }
}

const close = (value: number, to: number): void =>
  expect(Math.abs(value - to)).toBeLessThanOrEqual(1e-6 * Math.abs(to))

test.each([1, 2, 5, 36, 37, 100])('an evaluation in batches of %i is that of the whole', async batch => {
  const t = start()
  const { y: answers } = await t.predict({ x: rows })
  const { count, ...measured } = await t.evaluate(whole, { batch })
  await t.close()
  expect(count).toBe(N)
  for (const [name, value] of Object.entries(expected(answers!.data as Float32Array)))
    close(measured[name]!, value)
})

describe('micro-batches of different sizes and masks', () => {
  const both = async () => {
    const [one, several] = [start(), start()]
    const { y: answers } = await one.predict({ x: rows })
    const results = [await one.step(whole), await several.step(PARTS)] as const
    const states = [await one.state(), await several.state()] as const
    await one.close()
    await several.close()
    return { results, states, expected: expected(answers!.data as Float32Array) }
  }

  test('measure what one batch does', async () => {
    const { results, expected } = await both()
    for (const result of results)
      for (const [name, value] of Object.entries(expected)) close(result[name as 'loss'], value)
    close(results[1].gradNorm, results[0].gradNorm)
  })

  test('change the parameters as one batch does, regularizer and all', async () => {
    const { states } = await both()
    const [a, b] = [states[0].vectors.params!, states[1].vectors.params!]
    expect(Math.max(...a.map((v, i) => Math.abs(v - b[i]!)))).toBeLessThanOrEqual(1e-6)
    expect(a.some((v, i) => v !== start0[i])).toBe(true)
  })

  test('are refused where the loss cannot be put together from them', async () => {
    const root = task(net, {
      targets: { y: { shape: [2] } },
      loss: ({ out, target }) => sqrt(mse(out.y, target.y)),
    })
    const t = new Trainer<SingleStep>(cpu, net, { task: root })
    await expect(t.step(PARTS)).rejects.toThrow(/not a weighted sum of averages.*whole batches/)
    await t.close()
    const u = new Trainer<SingleStep>(cpu, net, { task: root })
    expect((await u.step(whole)).loss).toBeGreaterThan(0)
    await u.close()
  })
})

test('a batch that a mask leaves nothing of does not count', async () => {
  const none = { x: rows.slice(0, 4), y: y.slice(0, 4), mask: [0, 0, 0, 0].map(() => [0, 0]) }
  const masked = task(net, {
    targets: { y: { shape: [2] }, mask: { shape: [2] } },
    loss: ({ out, target }) => mse(out.y, target.y, target.mask),
  })
  const t = new Trainer<SingleStep>(cpu, net, { task: masked, optimizer: sgd({ lr: 0.1 }), seed: 3 })
  const before = (await t.state()).vectors.params!
  const { loss, gradNorm } = await t.step(none)
  expect([loss, gradNorm]).toEqual([0, 0])
  expect((await t.state()).vectors.params).toEqual(before)
  // Among others it changes nothing.
  const u = new Trainer<SingleStep>(cpu, net, { task: masked, optimizer: sgd({ lr: 0.1 }), seed: 3 })
  close((await t.step([part(0, 20), none, part(20, N)])).loss, (await u.step(whole)).loss)
  await t.close()
  await u.close()
})

test('what is not made of averages counts per example', async () => {
  const plain = task(net, {
    targets: { y: { shape: [2] } },
    loss: ({ out, target }) => mean(mul(sub(out.y, target.y), sub(out.y, target.y))),
  })
  const t = new Trainer<SingleStep>(cpu, net, { task: plain, optimizer: sgd({ lr: 0.1 }), seed: 3 })
  const [{ loss: all }, { loss: parts }] = [await t.evaluate(whole), await t.evaluate(whole, { batch: 5 })]
  close(parts, all)
  const u = new Trainer<SingleStep>(cpu, net, { task: plain, optimizer: sgd({ lr: 0.1 }), seed: 3 })
  close((await t.step(PARTS)).loss, (await u.step(whole)).loss)
  const [a, b] = [(await t.state()).vectors.params!, (await u.state()).vectors.params!]
  expect(Math.max(...a.map((v, i) => Math.abs(v - b[i]!)))).toBeLessThanOrEqual(1e-6)
  await t.close()
  await u.close()
})

test('weights that stand in two places are one parameter: in the file, the norm and the decay', async () => {
  const shared = linear(3, 3)
  const twice = model({
    inputs: { x: { shape: [3] } },
    layers: { first: shared, second: shared, out: linear(3, 2) },
    forward: (self, { x }) => ({ y: self.out(self.second(tanh(self.first(x)))) }),
  })
  expect([...twice.parameters.keys()]).toEqual(['first.weight', 'first.bias', 'out.weight', 'out.bias'])
  const learn = task(twice, {
    targets: { y: { shape: [2] } },
    loss: ({ out, target }) => mse(out.y, target.y),
  })
  const t = new Trainer<SingleStep>(cpu, twice, { task: learn, optimizer: sgd({ lr: 0.1 }) })
  const before = (await t.state()).vectors.params!
  const { gradNorm } = await t.step(whole)
  const after = (await t.state()).vectors.params!
  await t.close()
  // p' = p − lr g: the norm is of each parameter's whole gradient, once.
  const norm = Math.hypot(...after.map((v, i) => (before[i]! - v) / 0.1))
  expect(Math.abs(norm - gradNorm) / norm).toBeLessThan(1e-4)
})

test('two tasks train their own parameters on one state', async () => {
  const duel = model({
    inputs: { x: { shape: [3] } },
    layers: { left: linear(3, 2), right: linear(3, 2), still: linear(3, 2) },
    forward: (self, { x }) => ({ a: self.left(x), b: self.right(x), c: self.still(x) }),
  })
  const towards = (key: 'a' | 'b') =>
    task(duel, {
      name: key,
      targets: { y: { shape: [2] } },
      loss: ({ out, target }) => add(mse(out[key], target.y), mse(out.c, target.y)),
    })
  const t = new Trainer(cpu, duel, {
    steps: {
      l: { task: towards('a'), train: /^left\./, optimizer: sgd({ lr: 0.1 }) },
      r: { task: towards('b'), train: 'right.*', optimizer: adam({ lr: 0.1 }) },
    },
    seed: 5,
  })
  const values = async () => {
    const { model: m, params } = await t.trained()
    return Object.fromEntries(views(layoutOf(m.parameters), params))
  }
  const changed = (a: Record<string, Float32Array>, b: Record<string, Float32Array>) =>
    Object.keys(a).filter(name => a[name]!.some((v, i) => v !== b[name]![i]))
  const zero = await values()
  await t.step('l', whole)
  const one = await values()
  expect(changed(zero, one)).toEqual(['left.weight', 'left.bias'])
  await t.step('r', whole)
  const two = await values()
  expect(changed(one, two)).toEqual(['right.weight', 'right.bias'])
  expect([t.steps, t.stepsOf('l'), t.stepsOf('r')]).toEqual([2, 1, 1])
  // Each has its own optimizer's state, and both are resumed.
  const resumed = new Trainer(cpu, duel, {
    steps: {
      l: { task: towards('a'), train: /^left\./, optimizer: sgd({ lr: 0.1 }) },
      r: { task: towards('b'), train: 'right.*', optimizer: adam({ lr: 0.1 }) },
    },
    resume: await t.checkpoint(),
  })
  for (const trainer of [t, resumed])
    for (const name of ['r', 'l', 'r'] as const) await trainer.step(name, whole)
  expect(await resumed.state()).toEqual(await t.state())
  await t.close()
  await resumed.close()
})
