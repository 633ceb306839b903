import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { buildModel, cct, lenet, MODELS, mlp, vit } from '../../models/index.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { UserError } from '../../src/graph/errors.ts'
import { conv2d } from '../../src/nn/conv.ts'
import { layoutOf } from '../../src/nn/layout.ts'
import { type Model, parameterCount } from '../../src/nn/model.ts'
import { sgd } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { OrtTensor, Runtime } from '../../src/runtime/session.ts'
import { classification } from '../../src/tasks/index.ts'
import { plansOf } from '../../src/train/plans.ts'
import { compilePrediction } from '../../src/train/step/forward.ts'
import { compileStep } from '../../src/train/step/step.ts'
import { testLearning } from './learning.ts'

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

const tiny = { channels: 2, dim: 6, heads: 2, mlp: 5, classes: 3 } as const
const small: Readonly<Record<string, Model>> = {
  lenet: lenet({ image: 12, channels: 2, classes: 3 }),
  cct: cct({ ...tiny, image: 8, kernel: 3, planes: [4], depth: 1 }),
  vit: vit({ ...tiny, image: 8, patch: 4, depth: 2, pool: 'mean' }),
}

describe('sizes', () => {
  test('LeNet-5 has 61,706 parameters, those of its six layers', () => {
    const model = lenet(MODELS.lenet.presets.mnist)
    const convolutions = 6 * 25 + 6 + (16 * 6 * 25 + 16)
    expect(parameterCount(model)).toBe(convolutions + (400 * 120 + 120) + (120 * 84 + 84) + (84 * 10 + 10))
    expect(parameterCount(model)).toBe(61_706)
  })

  // The paper's counts, in millions; the authors' CCT-2/3×2 has 283,723 numbers, and none of the 2 · 3 · 128 biases.
  test.each([
    ['cct-2/3x2', 0.28, 283_723 + 2 * 3 * 128],
    ['cct-7/3x1', 3.76, 3_760_139 + 7 * 3 * 256],
  ] as const)('%s has about %f million parameters', (preset, millions, count) => {
    const model = cct(MODELS.cct.presets[preset])
    expect(parameterCount(model)).toBe(count)
    expect(Math.abs(count / 1e6 - millions)).toBeLessThan(0.01)
  })

  test("a ViT that pools the mean has timm's names and as many parameters", () => {
    const names = (pool: 'cls' | 'mean') => [
      ...vit({ ...MODELS.vit.presets.lecture, pool }).parameters.keys(),
    ]
    expect(names('mean')).toEqual(names('cls').map(name => name.replace(/^norm\./, 'fc_norm.')))
  })

  test.each(
    Object.entries(MODELS).flatMap(([name, { presets }]) =>
      Object.entries(presets).map(([preset, config]) => [name, preset, config] as const),
    ),
  )('%s %s gives one logit for each class', (name, _, config) => {
    const model = buildModel(name, config)
    const tokens = 'context' in config ? [config.context] : []
    const classes = 'vocabulary' in config ? config.vocabulary : config.classes
    expect(model.outputs.logits!.shape).toEqual(['batch', ...tokens, classes])
  })
})

describe('a configuration that does not fit is refused with its numbers', () => {
  const mnist = MODELS.cct.presets.mnist
  const lecture = MODELS.vit.presets.lecture
  test.each<[message: string, build: () => unknown]>([
    [
      'lenet: an image of 11 pixels is too small for its convolutions; use at least 12',
      () => lenet({ image: 11, channels: 1, classes: 10 }),
    ],
    [
      'lenet: channels must be a whole number of at least 1, not 0',
      () => lenet({ image: 28, channels: 0, classes: 10 }),
    ],
    [
      'cct: planes[1] must be a whole number of at least 1, not 1.5',
      () => cct({ ...mnist, planes: [32, 1.5] }),
    ],
    ['cct: dim 64 is not divisible by heads 5', () => cct({ ...mnist, heads: 5 })],
    ['cct: dropout must be at least 0 and below 1, not 1', () => cct({ ...mnist, dropout: 1 })],
    ['vit: pool must be cls or mean, not max', () => buildModel('vit', { ...lecture, pool: 'max' })],
    [
      'mlp: hidden[1] must be a whole number of at least 1, not 0',
      () => mlp({ image: 28, channels: 1, hidden: [16, 0], classes: 10 }),
    ],
    // @ts-expect-error the compiler says it too
    ['conv2d: 6 output channels are not divisible by groups 4', () => conv2d(8, 6, 3, { groups: 4 })],
    [
      'mlp has no attention.*; it has no intermediates',
      () => exportOnnx(mlp(MODELS.mlp.presets.small), { intermediates: 'attention.*' }),
    ],
  ])('%s', (message, build) => {
    expect(build).toThrow(message)
    expect(build).toThrow(UserError)
  })
})

/**
 * What PyTorch 1.13 gives in double precision, its modules written from the papers, for 2 images whose element i is
 * ½ + ½ sin(0.37 i), parameters whose element k (of all, in order) is 0.4 sin(1.3 k), and the labels 0 and 2. `slopes` holds
 * Σ cos(0.9 k) ∂loss/∂pₖ over each parameter, `attention` Σ cos(0.9 i) aᵢ over each map.
 */
const pytorch: Record<
  string,
  { logits: number[]; loss: number; slopes: Record<string, number>; attention: number[] }
> = JSON.parse(readFileSync(new URL('pytorch-models.json', import.meta.url), 'utf8'))

const close = (a: ArrayLike<number>, b: readonly number[], digits: number): void => {
  expect(a).toHaveLength(b.length)
  for (const [i, x] of Array.from(a).entries()) expect(x).toBeCloseTo(b[i]!, digits)
}

describe.each(Object.keys(small))('%s agrees with PyTorch', name => {
  const model = small[name]!
  const expected = pytorch[name]!
  const layout = layoutOf(model.parameters)
  const dims = [2, ...(model.inputs.image!.shape as readonly number[])]
  const size = dims.reduce((a, b) => a * b)
  const pixels = Float64Array.from({ length: size }, (_, i) => 0.5 + 0.5 * Math.sin(0.37 * i))
  const params = Float64Array.from({ length: layout.size }, (_, k) => 0.4 * Math.sin(1.3 * k))

  test('in its logits, loss and every gradient', async () => {
    const { target } = cpu.device
    // As training loads it; onnxruntime's own layer-norm fusion would keep epsilon in float32.
    const settings = { optimize: 'basic' } as const
    const double = (data: Float64Array, dims: readonly number[]): OrtTensor =>
      cpu.tensor('float64', data, dims)
    const feeds = { image: double(pixels, dims), 'state.params': double(params, [layout.size]) }
    const { plans } = plansOf(model, { task: classification(), optimizer: sgd() })
    const [plan] = plans as [(typeof plans)[number]]
    const program = compilePrediction(model, plan.layout, { target, dtype: 'float64' })
    const forward = await cpu.load(program.bytes, settings)
    const { logits } = await forward.run(feeds)
    close(logits!.data as Float64Array, expected.logits, 10)
    await forward.close()

    const options = { sizes: { batch: 2 }, target, dtype: 'float64', keepGradient: true } as const
    const step = await cpu.load(compileStep(plan, options).bytes, settings)
    const label = cpu.tensor('int32', Int32Array.of(0, 2), [2])
    const lr = double(Float64Array.of(0.1), [])
    const { loss, gradient } = await step.run({ ...feeds, label, 'scalar.lr': lr })
    expect(Number(loss!.data[0])).toBeCloseTo(expected.loss, 10)
    const g = gradient!.data as Float64Array
    for (const { name: parameter, offset, size: count } of layout.slots) {
      const slope = g
        .subarray(offset, offset + count)
        .reduce((n, d, j) => n + d * Math.cos(0.9 * (offset + j)), 0)
      expect([parameter, slope]).toEqual([parameter, expect.closeTo(expected.slopes[parameter]!, 10)])
    }
    expect(Object.keys(expected.slopes)).toEqual(layout.slots.map(s => s.name))
    await step.close()
  })

  test('in its attention maps, which the exported file gives where it is asked to', async () => {
    const trained = { model, params: Float32Array.from(params) }
    const asked = { intermediates: 'attention.*', probabilities: true }
    if (!expected.attention.length) {
      expect(() => exportOnnx(trained, asked)).toThrow(`${name} has no attention.*; it has no intermediates`)
      return
    }
    const session = await cpu.load(exportOnnx(trained, asked))
    const plain = await cpu.load(exportOnnx(trained))
    expect(plain.outputs).toEqual(['logits'])
    const image = cpu.tensor('float32', Float32Array.from(pixels), dims)
    const got = await session.run({ image })
    const maps = expected.attention.map((_, i) => got[`attention.${i}`]!)
    expect(Object.keys(got)).toEqual(['logits', ...maps.map((_, i) => `attention.${i}`), 'probabilities'])
    const tokens = name === 'vit' ? 5 : 4
    for (const [i, { dims, data }] of maps.entries()) {
      expect(dims).toEqual([2, tiny.heads, tokens, tokens])
      const weights = Array.from(data as Float32Array)
      for (let row = 0; row < weights.length; row += tokens)
        expect(weights.slice(row, row + tokens).reduce((a, b) => a + b)).toBeCloseTo(1, 5)
      const sum = weights.reduce((n, a, j) => n + a * Math.cos(0.9 * j), 0)
      expect(sum).toBeCloseTo(expected.attention[i]!, 5)
    }
    expect((await plain.run({ image })).logits!.data).toEqual(got.logits!.data)
    await session.close()
    await plain.close()
  })
})

testLearning(['lenet', lenet(MODELS.lenet.presets.mnist), 0.6])
