import { beforeAll, expect, test } from 'vitest'
import { MODELS } from '../../models/index.ts'
import { optimizeModel } from '../../src/deploy/optimize.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { readOnnx } from '../../src/export/read.ts'
import { constant, parameter } from '../../src/graph/leaf.ts'
import { rng } from '../../src/graph/random.ts'
import type { AnyTensor, Tensor } from '../../src/graph/tensor.ts'
import { type Model, model } from '../../src/nn/model.ts'
import { normalized } from '../../src/nn/normalize.ts'
import { initialized, type TrainedModel } from '../../src/nn/trained.ts'
import convolution from '../../src/ops/conv.ts'
import { add, batchNormRunning, conv2d, div, linear, mul, relu, sub, transpose } from '../../src/ops/index.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'

const { ConvTranspose } = convolution

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

/** Hands out parameters, and remembers them as the layers of a model. */
class Weights {
  readonly layers: Record<string, AnyTensor> = {}
  make(...shape: number[]): AnyTensor {
    const made = parameter(shape, { kind: 'normal', std: 1 })
    this.layers[`w${Object.keys(this.layers).length}`] = made
    return made
  }
}

const CHANNELS = 4
type Build = (w: Weights['make']) => (x: AnyTensor) => Tensor

function built(build: Build, shape: readonly number[]): TrainedModel {
  const weights = new Weights()
  const forward = build(weights.make.bind(weights))
  const made = model({
    name: 'case',
    inputs: { x: { shape } },
    layers: weights.layers,
    forward: (_, { x }) => ({ y: forward(x) }),
  })
  return asTrained(made)
}

/** All weights are random and positive, for some are variances. */
function asTrained(made: Model): TrainedModel {
  const random = rng(7)
  const { params } = initialized(made)
  return { model: made, params: params.map(() => 0.2 + random.uniform()) }
}

const BATCH = 3

async function outputsOf(bytes: Uint8Array, { model: { graph } }: TrainedModel): Promise<Float32Array> {
  const random = rng(5)
  const session = await cpu.load(bytes)
  const feeds = Object.fromEntries(
    Object.entries(graph.inputs).map(([name, { shape, dtype }]) => {
      const dims = shape.map((d, i) => (i ? Number(d) : BATCH))
      const length = dims.reduce((a, b) => a * b)
      const data =
        dtype === 'float32'
          ? Float32Array.from({ length }, () => random.normal())
          : Int32Array.from({ length }, () => random.int(5))
      return [name, cpu.tensor(dtype, data, dims)]
    }),
  )
  const [first] = Object.values(await session.run(feeds))
  const values = Float32Array.from(first!.data as Float32Array)
  await session.close()
  return values
}

const opsOf = (bytes: Uint8Array): string[] =>
  (readOnnx(bytes, 'optimized').proto.graph?.node ?? []).map(node => String(node.opType))

/**
 * Operators of the optimized file, whose outputs are those of the plain one. @param zeros bytes of channels that make convolutions right
 * on WebGPU; the plain file pads weights when it is loaded
 */
async function optimized(trained: TrainedModel, zeros = 0): Promise<string[]> {
  const plain = exportOnnx(trained)
  const bytes = exportOnnx(await optimizeModel(cpu, trained))
  const [expected, got] = [await outputsOf(plain, trained), await outputsOf(bytes, trained)]
  const largest = expected.reduce((m, v) => Math.max(m, Math.abs(v)), 0)
  const apart = expected.reduce((m, v, i) => Math.max(m, Math.abs(v - got[i]!)), 0)
  expect(largest).toBeGreaterThan(0)
  expect(apart / largest).toBeLessThan(1e-5)
  expect(bytes.length).toBeLessThanOrEqual(plain.length + zeros)
  return opsOf(bytes)
}

/** A norm whose parameters are made once, outside of forward. */
const normOf = (w: Weights['make'], n: number) => {
  const [a, b, c, d] = [w(n), w(n), w(n), w(n)]
  return (x: AnyTensor): AnyTensor => batchNormRunning(x, a, b, c, d)
}

const transposed = (x: AnyTensor, weight: AnyTensor, bias: AnyTensor, group: number): AnyTensor =>
  ConvTranspose.apply([x, weight, bias], {
    kernel_shape: [3, 2],
    strides: [2, 1],
    pads: [1, 0, 0, 1],
    dilations: [1, 2],
    group,
    output_padding: [1, 0],
  })

const IMAGE = [CHANNELS, 7, 6]

const CASES: Readonly<Record<string, readonly [Build, readonly string[], (readonly number[])?]>> = {
  'norm behind a strided, padded convolution without bias': [
    w => {
      const [k, n] = [w(6, CHANNELS, 3, 3), normOf(w, 6)]
      return x => n(conv2d(x, k, undefined, { stride: 2, padding: 1 }))
    },
    ['Conv'],
  ],
  'norm behind a dilated convolution in groups, with bias': [
    w => {
      const [k, b, n] = [w(6, CHANNELS / 2, 2, 3), w(6), normOf(w, 6)]
      return x => n(conv2d(x, k, b, { groups: 2, dilation: [2, 1] }))
    },
    ['Conv'],
  ],
  'norm behind a depthwise convolution': [
    w => {
      const [k, n] = [w(2 * CHANNELS, 1, 3, 3), normOf(w, 2 * CHANNELS)]
      return x => n(conv2d(x, k, undefined, { groups: CHANNELS, padding: 1 }))
    },
    ['Conv'],
  ],
  'norm on both sides of a transposed convolution in groups': [
    w => {
      const [k, b, before, behind] = [w(CHANNELS, 3, 3, 2), w(6), normOf(w, CHANNELS), normOf(w, 6)]
      return x => behind(transposed(before(x), k, b, 2))
    },
    ['BatchNormalization', 'ConvTranspose'],
  ],
  'scale ahead of a transposed convolution in groups': [
    w => {
      const [k, b, s] = [w(CHANNELS, 3, 3, 2), w(6), w(CHANNELS, 1, 1)]
      return x => transposed(mul(x, s), k, b, 2)
    },
    ['ConvTranspose'],
  ],
  'norm ahead of a convolution in groups that does not pad': [
    w => {
      const [k, b, n] = [w(6, CHANNELS / 2, 3, 3), w(6), normOf(w, CHANNELS)]
      return x => conv2d(n(x), k, b, { groups: 2, stride: [1, 2] })
    },
    ['Conv'],
  ],
  'norm ahead of a convolution that pads': [
    w => {
      const [k, n] = [w(6, CHANNELS, 3, 3), normOf(w, CHANNELS)]
      return x => conv2d(n(x), k, undefined, { padding: 1 })
    },
    ['BatchNormalization', 'Conv'],
  ],
  'a difference from a constant and a quotient behind a convolution': [
    w => {
      const [k, s, t] = [w(6, CHANNELS, 3, 3), w(6, 1, 1), w(6, 1, 1)]
      return x => div(sub(t, conv2d(x, k)), s)
    },
    ['Conv'],
  ],
  'norms on both sides of a linear layer': [
    w => {
      const [k, b, before, behind] = [w(8, 5), w(8), normOf(w, 5), normOf(w, 8)]
      return x => behind(linear(before(x), k, b))
    },
    ['Gemm'],
    [5],
  ],
  'a scale behind a linear layer of three axes': [
    w => {
      const [k, b, s] = [w(8, 5), w(8), w(8)]
      return x => mul(linear(x, k, b), s)
    },
    ['MatMul', 'Add'],
    [3, 5],
  ],
  'a convolution whose result is read twice': [
    w => {
      const [k, n] = [w(CHANNELS, CHANNELS, 3, 3), normOf(w, CHANNELS)]
      return x => {
        const y = conv2d(x, k, undefined, { padding: 1 })
        return add(n(y), relu(y))
      }
    },
    ['Conv', 'BatchNormalization', 'Relu', 'Add'],
  ],
  'a large weight of two layers': [
    w => {
      const [k, s] = [w(64, 64), w(64)]
      return x => mul(linear(mul(linear(x, k), s), transpose(k, [1, 0])), s)
    },
    ['Transpose', 'MatMul', 'Mul', 'MatMul', 'Mul'],
    [64],
  ],
}

for (const [title, [build, ops, shape = IMAGE]] of Object.entries(CASES))
  test(title, async () => {
    expect(await optimized(built(build, shape))).toEqual(ops)
  })

test('an image is centred ahead of a layer that pads, and its scale is in the weights', async () => {
  const { lenet } = MODELS
  const given = normalized(lenet.build(lenet.presets.mnist), 'image', { mean: [0.13], std: [0.31] })
  const ops = await optimized(asTrained(given), 4 * (2 * 25 + 2 + 16 * 2 * 25))
  expect(ops.slice(0, 2)).toEqual(['Sub', 'Conv'])
  expect(ops).not.toContain('Transpose')
})

test('whole models keep what they compute', async () => {
  const { resnet, cct, gpt, vit } = MODELS
  const small = { dim: 16, depth: 1, heads: 2, mlp: 16 }
  const residual = await optimized(asTrained(resnet.build(resnet.presets.mnist)))
  expect(residual).not.toContain('BatchNormalization')
  const encoder = vit.build({ ...vit.presets.lecture, ...small })
  const file = await optimized(asTrained(normalized(encoder, 'image', { mean: [0.5], std: [0.5] })))
  // Neither does normalization take an operator.
  expect(file.filter(op => op === 'Sub' || op === 'Div')).toEqual(['Div'])
  await optimized(asTrained(cct.build({ ...cct.presets.mnist, ...small })))
  await optimized(asTrained(gpt.build({ ...gpt.presets.char, ...small })))
})

test('what is computed of constants keeps all digits of int32, int64 and float64', async () => {
  const two24 = 2 ** 24
  const sums = {
    int32: [add(constant([two24, 1], 'int32', [2]), constant([1, 1], 'int32', [2])), [two24 + 1, 2]],
    int64: [add(constant([2 ** 40, 1], 'int64', [2]), constant([1, 1], 'int64', [2])), [2 ** 40 + 1, 2]],
    float64: [div(constant([1, 2], 'float64', [2]), constant([3, 3], 'float64', [2])), [1 / 3, 2 / 3]],
  } as const
  const made = model({
    inputs: { x: { shape: [2] } },
    layers: {},
    forward: (_, { x }) => ({
      y: mul(x, 2),
      ...Object.fromEntries(Object.entries(sums).map(([name, [t]]) => [name, t])),
    }),
  })
  const session = await cpu.load(exportOnnx(await optimizeModel(cpu, initialized(made))))
  const got = await session.run({ x: cpu.tensor('float32', new Float32Array(2), [1, 2]) })
  for (const [name, [, want]] of Object.entries(sums))
    expect(Array.from(got[name]!.data as ArrayLike<number>, Number), name).toEqual(want)
  await session.close()
})

test('a weight and an output of one name are two tensors of a file', async () => {
  const made = model({
    inputs: { x: { shape: [2] } },
    layers: { y: parameter([2], { kind: 'constant', value: 3 }) },
    forward: (self, { x }) => ({ y: mul(x, self.y) }),
  })
  const session = await cpu.load(exportOnnx(initialized(made)))
  const got = await session.run({ x: cpu.tensor('float32', Float32Array.of(1, 2), [1, 2]) })
  expect([...(got.y!.data as Float32Array)]).toEqual([3, 6])
  await session.close()
  const same = model({
    inputs: { x: { shape: [2] } },
    layers: {},
    forward: (_, { x }) => ({ x: mul(x, 2) }),
  })
  expect(() => exportOnnx(same)).toThrow('an input and an output are both named x: rename one of them')
})
