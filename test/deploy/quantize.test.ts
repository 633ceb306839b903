import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cct, gpt, lenet, mlp, resnet, vit } from '../../models/index.ts'
import {
  quantizationAwareModel,
  quantizeDynamically,
  quantizeModel,
} from '../../src/deploy/quantize/quantize.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { readOnnx, readWeights } from '../../src/export/read.ts'
import { elementsOf } from '../../src/graph/array.ts'
import { UserError } from '../../src/graph/errors.ts'
import { rng } from '../../src/graph/random.ts'
import { loadOnnx } from '../../src/import/load.ts'
import { batchNorm2d, conv2d } from '../../src/nn/conv.ts'
import { linear } from '../../src/nn/layers.ts'
import { type Model, model } from '../../src/nn/model.ts'
import { initialized, type TrainedModel } from '../../src/nn/trained.ts'
import * as ops from '../../src/ops/index.ts'
import { adamW } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { classification } from '../../src/tasks/classification.ts'
import { evaluateModel } from '../../src/train/evaluate.ts'
import { fit as fitModel } from '../../src/train/fit.ts'
import { openPredictor } from '../../src/train/predictor.ts'

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})
afterAll(() => cpu.close())

const random = rng(3)

/** Examples for a model: images in [0, 1], or tokens. */
const examplesOf = ({ graph }: Model, count: number) =>
  Object.fromEntries(
    Object.entries(graph.inputs).map(([name, { dtype, shape }]) => {
      const dims = [count, ...shape.slice(1).map(Number)]
      const length = dims.reduce((a, b) => a * b, 1)
      const data =
        dtype === 'int32'
          ? Int32Array.from({ length }, () => random.int(8))
          : Float32Array.from({ length }, () => random.uniform())
      return [name, { data, dims }]
    }),
  )

/** Weights as after some training: statistics and biases are not what they start with. */
function trainedLike(net: Model): TrainedModel {
  const { params, model } = initialized(net)
  return { model, params: params.map(v => v + 0.02 * Math.abs(random.normal())) }
}

async function run(source: TrainedModel | Uint8Array, feeds: ReturnType<typeof examplesOf>, runtime = cpu) {
  const p = await openPredictor(runtime, source instanceof Uint8Array ? source : exportOnnx(source))
  const got = await p.run(feeds)
  await p.close()
  return Object.fromEntries(
    Object.entries(got).map(([name, { data }]) => [name, Float32Array.from(data as Float32Array)]),
  )
}

/** Squared error over squared deviation from the mean. */
function error(got: Float32Array, want: Float32Array): number {
  const mean = want.reduce((a, b) => a + b, 0) / want.length
  const of = (f: (i: number) => number) => want.reduce((sum, _, i) => sum + f(i) ** 2, 0)
  return of(i => got[i]! - want[i]!) / of(i => want[i]! - mean)
}

const weightsOf = (bytes: Uint8Array) => [...readWeights(readOnnx(bytes, 'x'))]
const sizeOf = (bytes: Uint8Array): number =>
  weightsOf(bytes).reduce((n, [, { data }]) => n + data.byteLength, 0)
const nodesOf = (bytes: Uint8Array): string[] =>
  (readOnnx(bytes, 'x').proto.graph?.node ?? []).map(n => n.opType ?? '')

const mnist = { image: 28, channels: 1, classes: 10 } as const
const MODELS: Readonly<Record<string, () => Model>> = {
  mlp: () => mlp({ ...mnist, hidden: [64] }),
  lenet: () => lenet(mnist),
  resnet: () => resnet({ ...mnist, block: 'basic', layers: [1, 1], widths: [32, 48], stem: 'cifar' }),
  vit: () => vit({ ...mnist, patch: 7, dim: 48, depth: 2, heads: 4, mlp: 96 }),
  cct: () => cct({ ...mnist, kernel: 3, planes: [16], dim: 48, depth: 1, heads: 2, mlp: 96 }),
  gpt: () => gpt({ vocabulary: 8, context: 16, dim: 64, depth: 2, heads: 2, mlp: 128 }),
}

describe.each(Object.keys(MODELS))('%s in 8 bits', name => {
  let trained: TrainedModel
  let data: ReturnType<typeof examplesOf>
  let want: Float32Array
  beforeAll(async () => {
    trained = trainedLike(MODELS[name]!())
    data = examplesOf(trained.model, 64)
    want = (await run(trained, data)).logits!
  })

  test('static integers answer as the model does, in a quarter of the bytes', async () => {
    const bytes = exportOnnx(await quantizeModel(cpu, trained, { data, examples: 64 }))
    expect(error((await run(bytes, data)).logits!, want)).toBeLessThan(0.02)
    expect(sizeOf(bytes) / sizeOf(exportOnnx(trained))).toBeLessThan(0.32)
    const dtypes = new Set(weightsOf(bytes).map(([, { data }]) => elementsOf(data)))
    expect(dtypes).toContain('int8')
    // These have no kernel for bytes without and with signs.
    expect(nodesOf(bytes)).not.toContain('ConvInteger')
    expect(nodesOf(bytes)).toContain('DequantizeLinear')
  })

  test('dynamic integers answer as the model does, without calibration', async () => {
    const bytes = exportOnnx(await quantizeDynamically(cpu, trained))
    expect(error((await run(bytes, data)).logits!, want)).toBeLessThan(0.02)
    expect(nodesOf(bytes)).toContain('MatMulInteger')
    expect(nodesOf(bytes)).not.toContain('ConvInteger')
    expect(sizeOf(bytes) / sizeOf(exportOnnx(trained))).toBeLessThan(0.32)
  })

  test('the file loads again as a model that computes and writes the same', async () => {
    const bytes = exportOnnx(
      await quantizeModel(cpu, trained, { data, examples: 64, method: 'minmax', keep: 'none' }),
    )
    const again = loadOnnx(bytes, 'x.onnx')
    const written = exportOnnx(again)
    expect((await run(written, data)).logits).toEqual((await run(bytes, data)).logits)
    expect(
      nodesOf(written)
        .filter(n => n.includes('Quant'))
        .sort(),
    ).toEqual(
      nodesOf(bytes)
        .filter(n => n.includes('Quant'))
        .sort(),
    )
  })

  test('onnxruntime-web answers the same', async () => {
    const wasm = await nodeRuntime('wasm')
    const bytes = exportOnnx(
      await quantizeModel(cpu, trained, { data, examples: 64, method: 'minmax', keep: 'none' }),
    )
    // Sums of integers are exact on both; what is left is float32 arithmetic between them, which may round to a neighbour.
    expect(error((await run(bytes, data, wasm)).logits!, (await run(bytes, data)).logits!)).toBeLessThan(2e-3)
    await wasm.close()
  })
})

test('integers have a scale for each output, so that one large filter costs the others nothing', async () => {
  const net = model({
    inputs: { x: { shape: [64] } },
    layers: { fc: linear(64, 8) },
    forward: (self, { x }) => ({ y: self.fc(x) }),
  })
  const { params, ...rest } = initialized(net)
  // One output is ten thousand times the others.
  const scaled = params.map((v, i) => (i >= 7 * 64 && i < 8 * 64 ? 1e4 * v : v))
  const data = examplesOf(net, 32)
  const want = (await run({ ...rest, params: scaled }, data)).y!
  const got = (await run(await quantizeModel(cpu, { ...rest, params: scaled }, { data }), data)).y!
  const first = (y: Float32Array) => y.filter((_, i) => i % 8 === 0)
  expect(error(first(got), first(want))).toBeLessThan(1e-2)
})

test('a convolution network is integers from end to end', async () => {
  const net = model({
    inputs: { image: { shape: [3, 12, 12] } },
    layers: {
      a: conv2d(3, 16, 3, { padding: 1 }),
      n: batchNorm2d(16),
      b: conv2d(16, 16, 3, { padding: 1 }),
      fc: linear(16, 4),
    },
    forward: (self, { image }) => {
      const x = ops.relu(self.n(self.a(image)))
      const y = ops.relu(ops.add(self.b(x), x))
      return { logits: self.fc(ops.globalAvgPool2d(y)) }
    },
  })
  const data = examplesOf(net, 32)
  const q = await quantizeModel(cpu, trainedLike(net), { data, keep: 'none' })
  const bytes = exportOnnx(q)
  // Batch norm is folded, and integers without negative numbers are rectified.
  expect(nodesOf(bytes)).not.toContain('BatchNormalization')
  expect(nodesOf(bytes)).not.toContain('Relu')
  const biases = weightsOf(bytes).filter(([, { data }]) => data instanceof Int32Array)
  expect(biases.map(([, { dims }]) => dims)).toEqual([[16], [16], [4]])
})

test('layers that keep names stay as they are', async () => {
  const trained = trainedLike(MODELS.lenet!())
  const data = examplesOf(trained.model, 32)
  const q = await quantizeModel(cpu, trained, { data, keep: ['conv1.*', 'fc3.*'] })
  const dtypes = Object.fromEntries([...q.model.parameters].map(([name, p]) => [name, p.dtype]))
  expect(dtypes).toMatchObject({
    'conv1.weight': 'float16',
    'conv2.weight': 'int8',
    'fc1.weight': 'int8',
    'fc3.weight': 'float16',
  })
  expect(q.quantization?.kept).toEqual([])
  expect(q.quantization?.layers).toEqual(['conv2.weight', 'fc1.weight', 'fc2.weight'])
})

test('reduceRange leaves a bit of each weight unused, for processors that add two products in 16 bits', async () => {
  const trained = trainedLike(MODELS.lenet!())
  const data = examplesOf(trained.model, 32)
  const largest = (q: TrainedModel) =>
    Math.max(
      ...weightsOf(exportOnnx(q)).flatMap(([, { data }]) =>
        data instanceof Int8Array ? [...data].map(Math.abs) : [],
      ),
    )
  const options = { data, keep: 'none', method: 'minmax' } as const
  expect(largest(await quantizeModel(cpu, trained, options))).toBe(127)
  expect(largest(await quantizeModel(cpu, trained, { ...options, reduceRange: true }))).toBe(63)
  expect(largest(await quantizeDynamically(cpu, trained, { reduceRange: true }))).toBe(63)
})

test('a weight that two layers share is stored once', async () => {
  const net = model({
    inputs: { x: { shape: [64] } },
    layers: { fc: linear(64, 64) },
    forward: (self, { x }) => ({ y: self.fc(ops.relu(self.fc(x))) }),
  })
  const trained = trainedLike(net)
  const data = examplesOf(net, 32)
  for (const q of [await quantizeModel(cpu, trained, { data }), await quantizeDynamically(cpu, trained)]) {
    const integers = weightsOf(exportOnnx(q)).filter(
      ([, { data }]) => data instanceof Int8Array && data.length === 64 * 64,
    )
    expect(integers).toHaveLength(1)
    expect(error((await run(q, data)).y!, (await run(trained, data)).y!)).toBeLessThan(1e-2)
  }
})

/** Classes that lie along one axis each, with labels; separable but for noise. */
function clusters(count: number) {
  const label = Int32Array.from({ length: count }, () => random.int(4))
  const x = Float32Array.from(
    { length: 16 * count },
    (_, i) => (i % 4 === label[i >> 4] ? 0.4 : 0) + random.normal(),
  )
  return { x: { data: x, dims: [count, 16] }, label }
}

test('quantization-aware training recovers what few steps of an activation lose', async () => {
  const net = model({
    inputs: { x: { shape: [16] } },
    layers: { a: linear(16, 32), b: linear(32, 32), c: linear(32, 4) },
    forward: (self, { x }) => ({ logits: self.c(ops.relu(self.b(ops.relu(self.a(x))))) }),
  })
  const [train, test] = [clusters(1024), clusters(1024)]
  const task = classification()
  const options = { task, data: { train }, batch: 64, seed: 1 }
  const { model: trained } = await fitModel(cpu, net, {
    ...options,
    epochs: 8,
    optimizer: adamW({ lr: 5e-3 }),
  })
  const full = await evaluateModel(cpu, trained, { task, data: test })
  const aware = await quantizationAwareModel(cpu, trained, {
    data: { x: train.x },
    keep: 'none',
    method: 'minmax',
  })
  const before = await evaluateModel(cpu, aware, { task, data: train })
  const { model: tuned } = await fitModel(cpu, aware, {
    ...options,
    epochs: 3,
    optimizer: adamW({ lr: 1e-3 }),
  })
  const after = await evaluateModel(cpu, tuned, { task, data: train })
  expect(after.loss).toBeLessThan(before.loss)
  // The file's integers are what the training rounded to.
  const q = await quantizeModel(cpu, tuned, {})
  expect([...q.model.parameters.values()].map(p => p.dtype)).toContain('int8')
  const [ofFile, ofTraining] = [
    await run(q, { x: test.x }),
    await evaluateModel(cpu, tuned, { task, data: test }),
  ]
  const right = test.label.reduce((n, label, i) => {
    const row = [...ofFile.logits!.subarray(4 * i, 4 * i + 4)]
    return n + (row.indexOf(Math.max(...row)) === label ? 1 : 0)
  }, 0)
  expect(right / test.label.length).toBeCloseTo(Number(ofTraining.accuracy), 2)
  expect(right / test.label.length).toBeGreaterThan(Number(full.accuracy) - 0.02)
})

describe('refused', () => {
  const net = () => trainedLike(MODELS.mlp!())
  test('a model without layers to quantize', async () => {
    const plain = model({
      inputs: { x: { shape: [4] } },
      layers: {},
      forward: (_, { x }) => ({ y: ops.tanh(x) }),
    })
    const refused = quantizeModel(cpu, plain, { data: examplesOf(plain, 4) })
    await expect(refused).rejects.toThrowErrorMatchingInlineSnapshot(
      `[UserError: model: has no linear layer or convolution to quantize]`,
    )
    await expect(quantizeDynamically(cpu, plain)).rejects.toThrow(UserError)
  })
  test('no data, no examples of them, and layers that are all kept', async () => {
    const trained = net()
    const data = examplesOf(trained.model, 8)
    await expect(quantizeModel(cpu, trained, {})).rejects.toThrowErrorMatchingInlineSnapshot(
      `[UserError: mlp: int8 needs data to calibrate ranges on: a few hundred examples like those that the model will see]`,
    )
    await expect(
      quantizeModel(cpu, trained, { data, examples: 0 }),
    ).rejects.toThrowErrorMatchingInlineSnapshot(
      `[UserError: examples must be a whole number above 0, not 0]`,
    )
    await expect(quantizeModel(cpu, trained, { data, keep: '*' })).rejects.toThrowErrorMatchingInlineSnapshot(
      `[UserError: mlp: all of its 2 layers are kept; leave at least one to quantize]`,
    )
    await quantizeModel(cpu, trained, { data, examples: 8, keep: 'fc1*' })
  })
  test('values that are not finite', async () => {
    const trained = net()
    const data = examplesOf(trained.model, 8)
    await quantizeModel(cpu, trained, { data, method: 'minmax', keep: 'none' })
    const broken = { ...trained, params: trained.params.map(() => 1e38) }
    await expect(
      quantizeModel(cpu, broken, { data, method: 'minmax', keep: 'none' }),
    ).rejects.toThrowErrorMatchingInlineSnapshot(
      `[UserError: Relu: holds Infinity on the calibration data, which int8 cannot represent]`,
    )
  })
})
