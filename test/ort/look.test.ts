import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { openFile, openTrained, trainedOf } from '../../lab/src/worker/look.ts'
import { buildModel, mlp, type ViTConfig, vit } from '../../models/index.ts'
import { lower } from '../../src/export/lower.ts'
import { readOnnx } from '../../src/export/read.ts'
import { input } from '../../src/graph/leaf.ts'
import { rng } from '../../src/graph/random.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { add, mul } from '../../src/ops/elementwise.ts'
import { mean } from '../../src/ops/reduce.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { initialize, layoutOf, views } from '../../src/train/layout.ts'
import { type TrainedModel, toOnnx } from '../../src/train/trained.ts'

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

const CONFIG = { image: 8, channels: 2, patch: 4, dim: 6, depth: 3, heads: 2, mlp: 10, classes: 3 } as const
const [T, D] = [5, 6]

/** A ViT whose parameters are all of the size that matters, so that no term of a formula is near zero. */
function lively(config: ViTConfig = CONFIG): TrainedModel {
  const model = buildModel('vit', config)
  const layout = layoutOf(model.parameters)
  const random = rng(5)
  const params = initialize(layout, 1).map(v => v + 0.3 * random.normal())
  return { model, params, normalization: { mean: [0.2, 0.4], std: [0.5, 0.7] }, classes: ['a', 'b', 'c'] }
}

const noise = (() => {
  const random = rng(7)
  return Float32Array.from({ length: 2 * 8 * 8 }, () => random.uniform())
})()

async function lookAt(trained: TrainedModel, deep = true) {
  const looker = await openTrained(cpu, trained, 'it')
  onTestFinished(() => looker.close())
  const look = await looker.look(noise, deep)
  const stages = new Map(look.stages?.map(s => [s.name, s]))
  return { look, looker, stage: (name: string) => stages.get(name)! }
}

const near = (got: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-5) => {
  expect(got.length).toBe(expected.length)
  expect(Math.max(...Array.from(got, (v, i) => Math.abs(v - expected[i]!)))).toBeLessThan(tolerance)
}

type Vector = readonly number[]
const rows = (data: ArrayLike<number>, width: number): number[][] =>
  Array.from({ length: data.length / width }, (_, i) => Array.from(data).slice(i * width, (i + 1) * width))
const plus = (a: Vector, b: Vector): number[] => a.map((v, i) => v + b[i]!)

/** The model in plain numbers, from its weights. */
function plainly({ params, model }: TrainedModel) {
  const weights = views(layoutOf(model.parameters), params)
  const weight = (name: string): number[] => [...weights.get(name)!]
  const linear = (name: string, x: Vector): number[] => {
    const bias = weight(`${name}.bias`)
    return rows(weight(`${name}.weight`), x.length).map(
      (row, o) => bias[o]! + row.reduce((sum, w, i) => sum + w * x[i]!, 0),
    )
  }
  const norm = (name: string, x: Vector): number[] => {
    const average = x.reduce((a, b) => a + b) / x.length
    const variance = x.reduce((a, b) => a + (b - average) ** 2, 0) / x.length
    const [scale, shift] = [weight(`${name}.weight`), weight(`${name}.bias`)]
    return x.map((v, i) => ((v - average) / Math.sqrt(variance + 1e-6)) * scale[i]! + shift[i]!)
  }
  return { weight, linear, norm }
}

test('the patches are the raw pixels of squares, and their embedding is the linear map of the normalized ones', async () => {
  const trained = lively()
  const { stage } = await lookAt(trained)
  const { linear } = plainly(trained)
  expect(stage('patches').shape).toEqual([4, 32])
  const pixel = (c: number, y: number, x: number) => noise[(c * 8 + y) * 8 + x]!
  // The third patch is the lower left one.
  const third = [0, 1].flatMap(c =>
    [4, 5, 6, 7].flatMap(y => [0, 1, 2, 3].map(x => ({ c, v: pixel(c, y, x) }))),
  )
  near(
    rows(stage('patches').data, 32)[2]!,
    third.map(p => p.v),
    1e-9,
  )
  const { mean: means, std } = trained.normalization!
  const normal = third.map(({ c, v }) => (v - means[c]!) / std[c]!)
  near(rows(stage('embedding').data, D)[2]!, linear('patch_embed.proj', normal))
})

test('tokens are the CLS token and the embeddings, each with its position added', async () => {
  const trained = lively()
  const { stage } = await lookAt(trained)
  const { weight } = plainly(trained)
  const positions = rows(weight('pos_embed'), D)
  const before = [weight('cls_token'), ...rows(stage('embedding').data, D)]
  expect(stage('tokens').shape).toEqual([T, D])
  near(
    stage('tokens').data,
    before.flatMap((x, i) => plus(x, positions[i]!)),
  )
  near(stage('positions').data, positions.flat(), 1e-9)
})

test('attention and blocks are those of the formulas: softmax(q kᵀ / √d), two residual sums', async () => {
  const trained = lively()
  const { stage, look } = await lookAt(trained)
  const { linear, norm } = plainly(trained)
  let x = rows(stage('tokens').data, D)
  for (let block = 0; block < CONFIG.depth; block++) {
    const name = `blocks.${block}`
    const qkv = x.map(t => linear(`${name}.attn.qkv`, norm(`${name}.norm1`, t)))
    const size = D / CONFIG.heads
    const maps = Array.from({ length: CONFIG.heads }, (_, h) =>
      qkv.map(q => {
        const scores = qkv.map(k => {
          const dot = Array.from({ length: size }, (_, i) => q[h * size + i]! * k[D + h * size + i]!)
          return dot.reduce((a, b) => a + b) / Math.sqrt(size)
        })
        const e = scores.map(Math.exp)
        return e.map(v => v / e.reduce((a, b) => a + b))
      }),
    )
    expect(look.attention![block]!.shape).toEqual([CONFIG.heads, T, T])
    near(look.attention![block]!.data, maps.flat(2))
    const mixed = x.map((_, t) =>
      Array.from({ length: D }, (_, i) =>
        qkv.reduce((sum, v, k) => sum + maps[Math.floor(i / size)]![t]![k]! * v[2 * D + i]!, 0),
      ),
    )
    const attended = x.map((t, i) => plus(t, linear(`${name}.attn.proj`, mixed[i]!)))
    x = attended.map(t => {
      const hidden = linear(`${name}.mlp.fc1`, norm(`${name}.norm2`, t))
      return plus(t, linear(`${name}.mlp.fc2`, hidden.map(gelu)))
    })
    near(stage(name).data, x.flat(), 1e-4)
  }
})

/** x · Φ(x), Φ by its series: exact where |x| is small. */
const gelu = (x: number): number => {
  let term = x
  let sum = x
  for (let n = 1; n < 60; n++) {
    term *= -(x * x) / (2 * n)
    sum += term / (2 * n + 1)
  }
  return x * (0.5 + sum / Math.sqrt(2 * Math.PI))
}

test('the head reads the norm of the CLS token, and would have answered so after every block', async () => {
  const trained = lively()
  const { stage, look } = await lookAt(trained)
  const { linear, norm } = plainly(trained)
  const way = ['tokens', 'blocks.0', 'blocks.1', 'blocks.2'].map(name =>
    norm('norm', rows(stage(name).data, D)[0]!),
  )
  expect(stage('norm').shape).toEqual([D])
  near(stage('norm').data, way.at(-1)!, 1e-4)
  expect(stage('answers').shape).toEqual([4, 3])
  near(
    stage('answers').data,
    way.flatMap(x => linear('head', x)),
    1e-4,
  )
  near(stage('answers').data.slice(-3), look.logits, 1e-4)
  near(stage('logits').data, look.logits)
  expect(look.probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 6)
})

test('a ViT that pools the mean, drops out and has a deeper head can be looked into as well', async () => {
  const trained = lively({ ...CONFIG, pool: 'mean', head: [7], dropout: 0.2, dropPath: 0.1 })
  const { stage, look } = await lookAt(trained)
  const { norm } = plainly(trained)
  const patches = rows(stage('blocks.2').data, D).slice(1)
  const pooled = patches.reduce(plus).map(v => v / 4)
  near(stage('norm').data, norm('fc_norm', pooled), 1e-4)
  near(stage('answers').data.slice(-3), look.logits, 1e-4)
})

test('positions are compared by the cosine of their angle', async () => {
  const trained = lively()
  const { looker } = await lookAt(trained, false)
  const { data, shape } = looker.positions()
  expect(shape).toEqual([T, T])
  const [, a = [], b = []] = rows(plainly(trained).weight('pos_embed'), D)
  const dot = (x: Vector, y: Vector) => x.reduce((sum, v, i) => sum + v * y[i]!, 0)
  expect(data[T + 2]).toBeCloseTo(dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)), 6)
  expect(data[2 * T + 2]).toBeCloseTo(1, 6)
})

test('without depth there are the logits of the exported file and the time of its run', async () => {
  const { look } = await lookAt(lively(), false)
  expect(look.attention).toBeUndefined()
  expect(look.stages).toBeUndefined()
  expect(look.milliseconds).toBeGreaterThan(0)
})

test('an exported file can be looked into as the model that it was made of', async () => {
  const trained = lively()
  const bytes = toOnnx({ ...trained, training: { testAccuracy: 0.5 } })
  const info = readOnnx(bytes, 'vit.onnx')
  expect(trainedOf(info)).toEqual({
    ...trained,
    model: expect.objectContaining({ name: 'vit', config: CONFIG }),
    training: { testAccuracy: 0.5 },
  })
  const looker = await openFile(cpu, { name: 'vit.onnx', bytes, info }, [2, 8, 8])
  onTestFinished(() => looker.close())
  const { look } = await lookAt(trained)
  const { milliseconds, ...other } = await looker.look(noise, true)
  expect({ milliseconds: look.milliseconds, ...other }).toEqual(look)
})

test('of a model that is no ViT, or that the file does not tell, there are logits only', async () => {
  const dense = mlp({ image: 8, channels: 1, classes: 3, hidden: [5] })
  const params = initialize(layoutOf(dense.parameters), 1)
  const looker = await openTrained(cpu, { model: dense, params }, 'dense')
  onTestFinished(() => looker.close())
  expect(Object.keys(await looker.look(noise.slice(0, 64), true))).toEqual([
    'logits',
    'probabilities',
    'milliseconds',
  ])
  expect(() => looker.positions()).toThrow(/^dense: has no position embeddings/)

  const x: AnyTensor = input('pixels', 'float32', ['n', 1, 8, 8])
  const scores = add(mul(mean(x, [2, 3]), 2), 1)
  const bytes = lower({ inputs: { x }, parameters: {}, outputs: { scores } }, { name: 'foreign' })
  const info = readOnnx(bytes, 'foreign.onnx')
  expect(trainedOf(info)).toBeUndefined()
  const foreign = await openFile(cpu, { name: 'foreign.onnx', bytes, info }, [1, 8, 8])
  onTestFinished(() => foreign.close())
  const { logits, stages } = await foreign.look(new Float32Array(64).fill(0.25), true)
  near(logits, [1.5])
  expect(stages).toBeUndefined()
})

test.each([
  ['an architecture that is not known', { name: 'other', config: CONFIG }],
  ['a configuration that cannot be built', { name: 'vit', config: { ...CONFIG, heads: 4 } }],
  ['another size than its weights have', { name: 'vit', config: { ...CONFIG, depth: 4 } }],
])('a file that says %s is not looked into', (_, model) => {
  const info = readOnnx(toOnnx(lively()), 'vit.onnx')
  expect(trainedOf(info)).toBeDefined()
  expect(trainedOf({ ...info, model })).toBeUndefined()
})

test('scores that are no numbers are an error that names the model', async () => {
  const model = vit(CONFIG)
  const params = new Float32Array(layoutOf(model.parameters).size).fill(Number.NaN)
  const looker = await openTrained(cpu, { model, params }, 'mine.onnx')
  onTestFinished(() => looker.close())
  await expect(looker.look(noise, true)).rejects.toThrow(/^mine\.onnx: its scores are not all numbers/)
  await expect(looker.look(noise.slice(1), true)).rejects.toThrow(/^mine\.onnx: /)
})
