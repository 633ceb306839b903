import { beforeAll, describe, expect, test } from 'vitest'
import type { ArrayPort } from '../../src/data/arrays.ts'
import type { TypedArray } from '../../src/graph/array.ts'
import { hash, rng } from '../../src/graph/random.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { batchNorm2d, conv2d } from '../../src/nn/conv.ts'
import { dropout, embedding, layerNorm, linear } from '../../src/nn/layers.ts'
import { initialize } from '../../src/nn/layout.ts'
import { type Model, model } from '../../src/nn/model.ts'
import { initialized } from '../../src/nn/trained.ts'
import { encoderBlock } from '../../src/nn/transformer.ts'
import { add, exp, mul, sqrt, sub, tanh } from '../../src/ops/elementwise.ts'
import { reshape } from '../../src/ops/layout.ts'
import { SEED_SIZE, seedValues } from '../../src/ops/random.ts'
import { mean, sum } from '../../src/ops/reduce.ts'
import { upsample2d } from '../../src/ops/upsample.ts'
import { adamW } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { OrtTensor, Runtime } from '../../src/runtime/session.ts'
import {
  average,
  bceWithLogits,
  classification,
  crossEntropy,
  distillation,
  huber,
  l1,
  l2,
  languageModel,
  mse,
  multiLabel,
  ratio,
  regression,
  segmentation,
  type Task,
  task,
} from '../../src/tasks/index.ts'
import { portsOf } from '../../src/train/examples.ts'
import { plansOf } from '../../src/train/plans.ts'
import { compileEvaluation } from '../../src/train/step/forward.ts'
import { stateName } from '../../src/train/step/state.ts'
import { compileGradients, compileStep } from '../../src/train/step/step.ts'

// Every task on models of every kind, in batches of every size: what a step, a micro-batch and an evaluation compute with
// all passes is what they compute without any, in double precision.

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

const dense = (outputs: number, shape: readonly number[] = [outputs]) =>
  model({
    inputs: { x: { shape: [4] } },
    layers: { a: linear(4, 6), norm: layerNorm(6), drop: dropout(0.3), b: linear(6, outputs) },
    forward: (self, { x }) => {
      const y = self.b(self.drop(self.norm(tanh(self.a(x))))) as AnyTensor
      return { y: reshape(y, ['batch', ...shape]) as AnyTensor }
    },
  })
const image = () =>
  model({
    inputs: { image: { shape: [2, 4, 4] } },
    layers: { conv: conv2d(2, 3, 3, { padding: 1 }), bn: batchNorm2d(3), fc: linear(3, 4) },
    forward: (self, { image }) => ({
      logits: self.fc(mean(tanh(self.bn(self.conv(image))), [2, 3])) as AnyTensor,
    }),
  })
const pixels = () =>
  model({
    inputs: { image: { shape: [1, 4, 4] } },
    layers: { down: conv2d(1, 3, 3, { stride: 2, padding: 1 }), bn: batchNorm2d(3), out: conv2d(3, 3, 1) },
    forward: (self, { image }) => ({
      logits: self.out(upsample2d(tanh(self.bn(self.down(image) as AnyTensor)) as AnyTensor, 2)) as AnyTensor,
    }),
  })
const tokens = () =>
  model({
    inputs: { tokens: { shape: [3], dtype: 'int32' } },
    layers: {
      wte: embedding(5, 4),
      block: encoderBlock({ dim: 4, heads: 2, mlp: 6, causal: true }),
      head: linear(4, 5),
    },
    forward: (self, { tokens }) => ({
      logits: self.head(self.block(self.wte(tokens) as AnyTensor)) as AnyTensor,
    }),
  })
const logitsOnly = (net: Model): Model => net

const small = dense(3)
const single = dense(1)
const grid = dense(6, [2, 3])
const own = (
  name: string,
  net: ReturnType<typeof dense>,
  loss: Parameters<typeof task>[1]['loss'],
  weights = false,
) =>
  [
    name,
    net,
    task(net, { targets: { t: { shape: [3] }, ...(weights ? { w: { shape: [3] } } : {}) }, loss } as never),
  ] as const

const CASES: readonly (readonly [name: string, net: Model, task: Task])[] = [
  ['classification', image(), classification({ topK: [2] })],
  [
    'classification with smoothing and weights',
    image(),
    classification({ labelSmoothing: 0.1, classWeights: [1, 2, 0.5, 3] }),
  ],
  ['classification of probabilities', image(), classification({ targets: 'probabilities' })],
  ['classification of mixtures', image(), classification({ targets: 'mixed' })],
  ['classification of places', tokens(), classification()],
  ['classification of one output', dense(2), classification({ output: 'y' })],
  ['a language model', tokens(), languageModel()],
  ['a language model with a mask', tokens(), languageModel({ mask: true })],
  ['regression', small, regression()],
  ['regression of one number', single, regression({ loss: 'l1' })],
  ['regression of a scalar', dense(1, []), regression({ loss: 'huber' })],
  ['regression of a grid', grid, regression({ loss: 'l1' })],
  ['labels', small, multiLabel({ output: 'y' })],
  ['one label', single, multiLabel({ output: 'y' })],
  ['segmentation', pixels(), segmentation()],
  [
    'segmentation with pixels to ignore',
    pixels(),
    segmentation({ ignoreIndex: 255, classWeights: [1, 2, 3] }),
  ],
  ['distillation', image(), distillation(initialized(logitsOnly(image()), 7), { temperature: 3 })],
  own(
    'weights',
    small,
    ({ out, target }) => average(out.y as AnyTensor, (target as { w: AnyTensor }).w),
    true,
  ),
  own(
    'weighted losses',
    small,
    ({ out, target: { t, w } }) => {
      const [y, aim, weights] = [out.y, t, w] as AnyTensor[]
      return add(mse(y!, aim!, weights), mul(huber(y!, aim!, 0.5, weights), 0.3))
    },
    true,
  ),
  own('a ratio', small, ({ out, target }) => {
    const [y, t] = [out.y, target.t] as AnyTensor[]
    return ratio(exp(y!), add(mul(t!, t!), 1))
  }),
  own('a sum', small, ({ out, target }) => {
    const d = sub(out.y as AnyTensor, target.t as AnyTensor) as AnyTensor
    return sum(mul(d, d))
  }),
  own('a mean', small, ({ out, target }) => mean(sub(out.y as AnyTensor, target.t as AnyTensor))),
  own('several', small, ({ out, target }) => {
    const [y, t] = [out.y, target.t] as AnyTensor[]
    return add(add(mul(l1(y!, t!), 2), bceWithLogits(y!, tanh(t!))), -1)
  }),
  [
    'a regularizer, and functions of averages',
    small,
    task(small, {
      targets: { t: { shape: [3] } },
      loss: ({ out, target }) => mse(out.y, target.t),
      regularizer: ({ self }) => mul(l2(self.a.weight, self.b.weight), 0.1),
      metrics: { rmse: ({ out, target }) => sqrt(mse(out.y, target.t)) },
    }),
  ],
  [
    'two losses of one model',
    image(),
    (() => {
      const net = image()
      return task(net, {
        targets: { label: { shape: [], dtype: 'int32', below: 4 }, aim: { shape: [4] } },
        loss: ({ out, target }) =>
          add(crossEntropy(out.logits, target.label), mul(mse(out.logits, target.aim), 0.5)),
      })
    })(),
  ],
]

/** Values for what a task reads, and for the state: a function of names and sizes. */
function feedsFor(ports: Readonly<Record<string, ArrayPort>>, batch: number): Record<string, OrtTensor> {
  return Object.fromEntries(
    Object.entries(ports).map(([name, { dtype, shape, below = 5, ignore }]) => {
      const dims = shape.map(d => (d === 'batch' ? batch : Number(d)))
      const random = rng(hash('tasks', name, batch))
      const size = dims.reduce((a, b) => a * b, 1)
      const integer = () => (ignore !== undefined && random.uniform() < 0.3 ? ignore : random.int(below))
      const data =
        dtype === 'int32'
          ? Int32Array.from({ length: size }, integer)
          : Float64Array.from({ length: size }, () => 0.1 + Math.abs(random.normal()))
      return [name, cpu.tensor(dtype === 'int32' ? 'int32' : 'float64', data, dims)]
    }),
  )
}

async function answers(net: Model, of: Task, batch: number): Promise<Record<string, number[]>> {
  const { plans, layout } = plansOf(net, { task: of, optimizer: adamW({ weightDecay: 0.1 }), clipNorm: 0.5 })
  const plan = plans[0]!
  const { target } = cpu.device
  const options = { target, dtype: 'float64', sizes: { batch } } as const
  const evaluation = plan.task.evaluation
  const programs = {
    step: compileStep(plan, { ...options, keepGradient: true }),
    gradients: compileGradients(plan, options),
    evaluation: compileEvaluation(evaluation, layout, options),
  }
  const initial = initialize(layout.all, 3)
  const one = (value: number) => cpu.tensor('float64', Float64Array.of(value), [])
  const found: Record<string, number[]> = {}
  for (const [kind, program] of Object.entries(programs)) {
    const feeds = feedsFor(portsOf(kind === 'evaluation' ? evaluation : plan.task), batch)
    for (const v of program.reads) {
      const random = rng(hash('state', v.name))
      const block = layout.blocks.find(b => b.name === v.vector)
      const values = Float64Array.from({ length: v.part.size }, (_, i) => {
        const slot = block?.layout.slots.find(s => s.offset <= i && i < s.offset + s.size)
        const from = slot && layout.all.slots.find(s => s.name === slot.name)
        return from ? initial[from.offset + i - slot.offset]! : Math.abs(random.normal()) / 10
      })
      feeds[stateName(v)] = cpu.tensor('float64', values, [v.part.size])
    }
    for (const name of Object.keys(program.graph.inputs)) {
      if (feeds[name]) continue
      if (name === 'scalar.seed')
        feeds[name] = cpu.tensor('float64', Float64Array.from(seedValues(1, 2)), [SEED_SIZE])
      else if (name.startsWith('scalar.')) feeds[name] = one(name === 'scalar.keep' ? 1 : 0.05)
    }
    const session = await cpu.load(program.bytes, { optimize: 'basic' })
    const given = Object.entries(feeds).filter(([name]) => session.inputs.includes(name))
    const got = await session.run(Object.fromEntries(given))
    for (const [name, { data }] of Object.entries(got))
      found[`${kind} ${name}`] = Array.from(data as Exclude<TypedArray, BigInt64Array | BigUint64Array>)
    await session.close()
  }
  return found
}

async function without<T>(passes: string, work: () => Promise<T>): Promise<T> {
  const before = process.env.ONNXGRAD_PASSES
  process.env.ONNXGRAD_PASSES = passes
  try {
    return await work()
  } finally {
    process.env.ONNXGRAD_PASSES = before ?? ''
  }
}

describe.each(CASES)('%s', (_, net, of) => {
  test.each([1, 5])('computes the same with all passes and with none, in a batch of %i', async batch => {
    const [on, off] = [
      await without('', () => answers(net, of, batch)),
      await without('-all', () => answers(net, of, batch)),
    ]
    expect(Object.keys(on)).toEqual(Object.keys(off))
    expect(Object.keys(on).length).toBeGreaterThan(6)
    for (const [name, values] of Object.entries(off)) {
      const scale = Math.max(1e-6, ...values.map(Math.abs))
      expect(values.every(Number.isFinite), name).toBe(true)
      const apart = Math.max(...values.map((v, i) => Math.abs(v - on[name]![i]!))) / scale
      expect(apart, name).toBeLessThan(1e-8)
    }
  })
})
