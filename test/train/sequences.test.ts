import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { UserBatch } from '../../src/data/dataset.ts'
import { pad } from '../../src/data/pad.ts'
import { rng } from '../../src/graph/random.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { dropout, embedding, linear } from '../../src/nn/layers.ts'
import { model } from '../../src/nn/model.ts'
import { tanh } from '../../src/ops/elementwise.ts'
import { sgd } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { workerRuntime } from '../../src/runtime/worker-node.ts'
import { languageModel } from '../../src/tasks/index.ts'
import { fit as learn } from '../../src/train/fit.ts'
import type { FitOptions } from '../../src/train/fit-options.ts'
import type { RunState } from '../../src/train/progress.ts'
import { Trainer } from '../../src/train/trainer.ts'
import type { SingleStep } from '../../src/train/trainer-options.ts'

// Sequences of different lengths: sizes other than the batch's differ from run to run.

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

const KINDS = 7
const random = rng('sequences')
const sequences = Array.from({ length: 23 }, () =>
  Array.from({ length: 2 + random.int(10) }, () => random.int(KINDS)),
)
const next = sequences.map(s => s.map((v, i) => (s[i + 1] ?? v) % KINDS))
const data = (lengths: readonly number[]) => pad({ tokens: sequences, label: next }, { T: lengths })

const tagger = (rate = 0) =>
  model({
    inputs: { tokens: { shape: ['T'], dtype: 'int32' } },
    layers: { wte: embedding(KINDS, 6), drop: dropout(rate), fc: linear(6, 6), head: linear(6, KINDS) },
    forward: (self, { tokens }) => ({
      logits: self.head(tanh(self.fc(self.drop(self.wte(tokens)))) as AnyTensor) as AnyTensor,
    }),
  })
const net = tagger()
const task = languageModel({ mask: true })
const start = (runtime = here) =>
  new Trainer<SingleStep<'accuracy'>>(runtime, net, { task, optimizer: sgd({ lr: 0.5 }), seed: 2 })

const all = (lengths: readonly number[]) => [
  ...(data(lengths).batches({ batch: sequences.length, shuffle: false }) as Iterable<UserBatch>),
]

test('an evaluation does not depend on how sequences are batched and padded', async () => {
  const t = start()
  const { loss, accuracy, perplexity, count } = await t.evaluate(data([12]), { batch: 23 })
  expect(count).toBe(23)
  expect(perplexity).toBeCloseTo(Math.exp(loss), 5)
  for (const [lengths, batch] of [
    [[12], 4],
    [[3, 6, 9, 12], 5],
    [[11, 20], 1],
  ] as const) {
    const other = await t.evaluate(data(lengths), { batch })
    expect(other.count).toBe(23)
    expect(other.loss).toBeCloseTo(loss, 5)
    expect(other.accuracy).toBeCloseTo(accuracy!, 6)
    expect(other.perplexity).toBeCloseTo(perplexity!, 4)
  }
  await t.close()
})

test('micro-batches of different lengths make the step of one batch', async () => {
  const [one, several] = [start(), start()]
  const [whole] = all([12])
  const parts = all([3, 6, 9, 12])
  expect(parts.length).toBeGreaterThan(2)
  const [a, b] = [await one.step(whole!), await several.step(parts)]
  expect(b.loss).toBeCloseTo(a.loss, 5)
  expect(b.accuracy).toBeCloseTo(a.accuracy, 6)
  expect(b.gradNorm).toBeCloseTo(a.gradNorm, 5)
  const [p, q] = [(await one.state()).vectors.params!, (await several.state()).vectors.params!]
  expect(Math.max(...p.map((v, i) => Math.abs(v - q[i]!)))).toBeLessThan(1e-6)
  await one.close()
  await several.close()
})

describe('a training on them', () => {
  const train = (runtime: Runtime, more: Partial<FitOptions> = {}) =>
    learn(runtime, tagger(0.2), {
      task,
      data: { train: data([3, 6, 9, 12]), test: data([12]) },
      epochs: 2,
      batch: 4,
      optimizer: sgd({ lr: 0.5, momentum: 0.9 }),
      threads: 1,
      seed: 6,
      ...more,
    })

  test.each<Partial<FitOptions>>([{}, { accumulate: 3 }, { stepsPerRun: 2 }])(
    'is the same in a thread of its own, and resumed after any step: %j',
    async more => {
      const whole = await train(here, more)
      expect(whole.test!.loss).toBeLessThan(whole.epochs[0]!.test!.loss)
      const states: RunState[] = []
      const onStep: FitOptions['onStep'] = async (_, run) =>
        void (await run.state().then(
          s => states.push(s),
          () => {},
        ))
      expect((await train(apart, { ...more, onStep })).state).toEqual(whole.state)
      expect(states.length).toBeGreaterThan(2)
      for (const resume of [states[1]!, states.at(-2)!]) {
        const rest = await train(apart, { ...more, resume })
        expect(rest.state).toEqual(whole.state)
        expect(rest.test).toEqual(whole.test)
      }
    },
  )
})
