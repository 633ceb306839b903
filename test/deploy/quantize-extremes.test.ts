import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { batches } from '../../src/data/batches.ts'
import { float16Of } from '../../src/deploy/api.ts'
import { Comparison } from '../../src/deploy/proof/compared.ts'
import { failuresOf, thresholdsFor } from '../../src/deploy/proof/verdict.ts'
import { deviationOf } from '../../src/deploy/quantize/deviation.ts'
import {
  quantizationAwareModel,
  quantizeDynamically,
  quantizeModel,
} from '../../src/deploy/quantize/quantize.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { parameter } from '../../src/graph/leaf.ts'
import { rng } from '../../src/graph/random.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { conv2d } from '../../src/nn/conv.ts'
import { linear } from '../../src/nn/layers.ts'
import { type Model, model, type PortSpecs } from '../../src/nn/model.ts'
import { initialized, type TrainedModel, weightsOf } from '../../src/nn/trained.ts'
import * as ops from '../../src/ops/index.ts'
import { messages } from '../../src/runs/definition.ts'
import { deployable } from '../../src/runs/deployable-node.ts'
import { formOf } from '../../src/runs/forms-node.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { openPredictor } from '../../src/train/predictor.ts'

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})
afterAll(() => cpu.close())

const random = rng(4)

/** A model whose weights a function changes, by their names. */
function made(
  inputs: PortSpecs,
  layers: object,
  forward: (self: never, x: never) => Record<string, AnyTensor>,
  change: (weights: ReadonlyMap<string, Float32Array>) => void = () => {},
): TrainedModel {
  const trained = initialized(model({ inputs, layers, forward: forward as never }) as unknown as Model)
  change(weightsOf(trained))
  return trained
}

const normal = (...dims: number[]) => {
  const length = dims.reduce((a, b) => a * b, 1)
  return { data: Float32Array.from({ length }, () => random.normal()), dims }
}

async function run(
  trained: TrainedModel,
  feeds: Parameters<Awaited<ReturnType<typeof openPredictor>>['run']>[0],
) {
  const p = await openPredictor(cpu, exportOnnx(trained))
  const got = await p.run(feeds)
  await p.close()
  return Object.fromEntries(Object.entries(got).map(([name, { data }]) => [name, Array.from(data, Number)]))
}

/** Relative error: of the difference, by the size of what is wanted. */
const apart = (got: readonly number[] = [], want: readonly number[] = []): number =>
  Math.hypot(...want.map((v, i) => v - got[i]!)) / Math.hypot(...want)

type Layers<K extends string> = Readonly<Record<K, (x: AnyTensor) => AnyTensor>>

describe('a filter of tiny weights beside a large bias keeps its bias', () => {
  const rows = () =>
    made(
      { x: { shape: [16] } },
      { a: linear(16, 8), b: linear(8, 4) },
      ((self: Layers<'a' | 'b'>, { x }: { x: AnyTensor }) => ({ y: self.b(ops.relu(self.a(x))) })) as never,
      weights => {
        const w = weights.get('a.weight')!
        w.set(w.subarray(0, 64).map(v => v * 1e-12))
        weights.get('a.bias')!.fill(3)
      },
    )
  const maps = (scale: number) =>
    made(
      { x: { shape: [3, 6, 6] } },
      { a: conv2d(3, 8, 3), b: conv2d(8, 4, 3) },
      ((self: Layers<'a' | 'b'>, { x }: { x: AnyTensor }) => ({ y: self.b(ops.relu(self.a(x))) })) as never,
      weights => {
        const w = weights.get('a.weight')!
        w.set(w.subarray(0, 54).map(v => v * scale))
        weights.get('a.bias')!.fill(2)
      },
    )
  test.each<[string, () => TrainedModel, number[]]>([
    ['of a linear layer', rows, [16]],
    ['of a convolution', () => maps(1e-10), [3, 6, 6]],
    ['of denormal weights', () => maps(1e-43), [3, 6, 6]],
  ])('%s', async (_, net, shape) => {
    const trained = net()
    const data = { x: normal(32, ...shape) }
    const { y } = await run(trained, data)
    const options = { data, method: 'minmax', keep: [] } as const
    const aware = await quantizationAwareModel(cpu, trained, options)
    for (const form of [
      await quantizeModel(cpu, trained, options),
      await quantizeModel(cpu, aware, {}),
      await quantizeDynamically(cpu, trained),
    ])
      expect(apart((await run(form, data)).y, y)).toBeLessThan(0.02)
  })
})

test('weights that float16 does not hold stay float32 in a quantized model', async () => {
  const trained = made(
    { x: { shape: [16] } },
    { a: linear(16, 8), s: parameter([8], { kind: 'constant', value: 1e-8 }) },
    ((self: Layers<'a'> & { s: AnyTensor }, { x }: { x: AnyTensor }) => ({
      y: ops.mul(ops.tanh(self.a(x)), self.s),
    })) as never,
  )
  const data = { x: normal(32, 16) }
  const { y } = await run(trained, data)
  for (const form of [
    await quantizeModel(cpu, trained, { data, keep: [] }),
    await quantizeDynamically(cpu, trained),
  ])
    expect(apart((await run(form, data)).y, y)).toBeLessThan(0.02)
})

test('a table that keep names is no table of integers', async () => {
  const trained = made(
    { t: { shape: [4], dtype: 'int32' } },
    { wte: parameter([200, 16], { kind: 'normal', std: 1 }), fc: linear(16, 4) },
    ((self: Layers<'fc'> & { wte: AnyTensor }, { t }: { t: AnyTensor }) => ({
      y: self.fc(ops.gather(self.wte, t)),
    })) as never,
  )
  const data = { t: { data: Int32Array.from({ length: 128 }, () => random.int(200)), dims: [32, 4] } }
  const dtypeOf = ({ model: { parameters } }: TrainedModel) => parameters.get('wte')?.dtype
  expect(dtypeOf(await quantizeDynamically(cpu, trained))).toBe('int8')
  const keep = ['wte']
  const aware = await quantizationAwareModel(cpu, trained, { data, keep })
  expect(dtypeOf(await quantizeDynamically(cpu, trained, { keep }))).toBe('float16')
  expect(dtypeOf(await quantizeModel(cpu, trained, { data, keep }))).toBe('float16')
  expect(dtypeOf(await quantizeModel(cpu, aware, { keep }))).toBe('float16')
})

test('the deviation of outputs that are all the same is a number', () => {
  const outputs = (...values: number[]) => [{ y: { data: Float32Array.from(values), dims: [values.length] } }]
  const { error } = deviationOf(outputs(3, 3, 3), outputs(3, 3, 3.001))
  expect(error).toBeGreaterThan(0)
  expect(error).toBeLessThan(1e-6)
  expect(deviationOf(outputs(-1, 1), outputs(-1, 1.2)).error).toBeCloseTo(0.02)
})

test('a proof compares an output that is always the same with its size', () => {
  const comparison = new Comparison()
  const scale = (value: number) => ({ scale: { data: Float32Array.of(value, value), dims: [2] } })
  comparison.add(scale(0.1), scale(0.1001))
  expect(comparison.outputs.scale?.error).toBeCloseTo(1e-3, 5)
})

test('a proof judges what a classifier returns beside its scores', () => {
  const comparison = new Comparison()
  const rows = (...values: number[]) => ({ data: Float32Array.from(values), dims: [2, values.length / 2] })
  const logits = rows(1, 2, 3, 1)
  comparison.add({ logits, boxes: rows(1, 5, 9, 2) }, { logits, boxes: rows(1, 5, 9, -70) })
  const { outputs, maxAbsDiff, answers, others } = comparison
  const failures = failuresOf(
    { outputs, maxAbsDiff, ...(answers ? { answers } : {}), others },
    true,
    thresholdsFor({ lossy: true }),
  )
  expect(failures).toEqual([expect.stringMatching(/^output boxes is off by/)])
})

test('an output that is a weight under its own name', async () => {
  const trained = made(
    { x: { shape: [16] } },
    { a: linear(16, 8), p: parameter([8], { kind: 'normal', std: 1 }) },
    ((self: Layers<'a'> & { p: AnyTensor }, { x }: { x: AnyTensor }) => ({
      y: self.a(x),
      p: self.p,
    })) as never,
  )
  const want = await run(trained, { x: normal(2, 16) })
  const got = await run(await quantizeDynamically(cpu, trained), { x: normal(2, 16) })
  expect(apart(got.p, want.p)).toBeLessThan(1e-3)
})

test('a file that takes one example at a time is calibrated on many, and keeps its size', async () => {
  const single = { x: { shape: [1, 16], batch: false } } as const
  const trained = made(single, { a: linear(16, 8), b: linear(8, 4) }, ((
    self: Layers<'a' | 'b'>,
    { x }: { x: AnyTensor },
  ) => ({ y: self.b(ops.relu(self.a(x))) })) as never)
  const data = { x: normal(40, 16) }
  const q = await quantizeModel(cpu, trained, { data })
  expect((await float16Of(cpu, trained, { data })).kept).toEqual([])
  expect(
    (await float16Of(cpu, trained, { data: { x: { ...data.x, data: data.x.data.map(v => 1e6 * v) } } })).kept,
  ).not.toEqual([])
  expect(q.model.graph.inputs.x?.shape).toEqual([1, 16])
  const first = { x: { data: data.x.data.slice(0, 16), dims: [1, 16] } }
  expect(apart((await run(q, first)).y, (await run(trained, first)).y)).toBeLessThan(0.05)
})

test('data for a file come under the name of its input', async () => {
  const net = model({
    inputs: { pixels: { shape: [1, 28, 28] } },
    layers: { fc: linear(784, 10) },
    forward: (self, { pixels }) => ({ scores: self.fc(ops.reshape(pixels, [pixels.shape[0], 784])) }),
  })
  const folder = await mkdtemp(join(tmpdir(), 'deployable-'))
  const path = join(folder, 'elsewhere.onnx')
  await writeFile(path, exportOnnx(initialized(net)))
  const source = await deployable(path, { data: 'digits' }, {}, messages({ onNotice: () => {} }))
  const { data } = await source.lesson()
  for (const set of [data.train, data.test!])
    for await (const batch of batches(set, { batch: 8 })) {
      expect(Object.keys(batch)).toEqual(['pixels', 'label'])
      break
    }
  const { trained } = await formOf(cpu, source, 'int8', { examples: 32, method: 'minmax', keep: [] })
  expect(trained.model.parameters.get('fc.weight')?.dtype).toBe('int8')
  await rm(folder, { recursive: true })
})

describe('refused', () => {
  const net = () =>
    made({ x: { shape: [16] } }, { a: linear(16, 8) }, ((self: Layers<'a'>, { x }: { x: AnyTensor }) => ({
      y: self.a(x),
    })) as never)
  const data = { x: normal(8, 16) }
  const says = (what: Promise<unknown>, message: string) => expect(what).rejects.toThrow(message)

  test('a model that is a smaller form already', async () => {
    const trained = net()
    const int8 = 'model: has 8-bit weights already; start from the float32 model that it was made from'
    const q = await quantizeModel(cpu, trained, { data, keep: [] })
    const dynamic = await quantizeDynamically(cpu, trained)
    for (const again of [
      () => quantizeModel(cpu, q, { data }),
      () => quantizationAwareModel(cpu, q, { data }),
      () => quantizeDynamically(cpu, q),
      () => quantizeDynamically(cpu, dynamic),
    ])
      await says(again(), int8)
    const half = await float16Of(cpu, trained, {})
    await says(quantizeModel(cpu, half, { data }), int8.replace('8-bit', 'float16'))
  })

  test('a method that does not exist', async () => {
    await says(
      quantizeModel(cpu, net(), { data, method: 'max' as 'minmax' }),
      'method must be one of minmax, percentile, entropy, not max',
    )
  })
})
