import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { Insides, trainedOf } from '../../lab/src/worker/look.ts'
import { buildModel, mlp, type ViTConfig } from '../../models/index.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { readOnnx } from '../../src/export/read.ts'
import { rng } from '../../src/graph/random.ts'
import { initialize, layoutOf, views } from '../../src/nn/layout.ts'
import { normalized } from '../../src/nn/normalize.ts'
import type { TrainedModel } from '../../src/nn/trained.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

const CONFIG = { image: 8, channels: 2, patch: 4, dim: 6, depth: 3, heads: 2, mlp: 10, classes: 3 } as const
const [T, D] = [5, 6]
const NORMALIZATION = { mean: [0.2, 0.4], std: [0.5, 0.7] } as const

/** A ViT whose parameters are all of the size that matters, so that no term of a formula is near zero. */
function lively(config: ViTConfig = CONFIG): TrainedModel {
  const model = normalized(buildModel('vit', config), 'image', NORMALIZATION)
  const layout = layoutOf(model.parameters)
  const random = rng(5)
  const params = initialize(layout, 1).map(v => v + 0.3 * random.normal())
  return { model, params, classes: ['a', 'b', 'c'] }
}

const noise = (() => {
  const random = rng(7)
  return Float32Array.from({ length: 2 * 8 * 8 }, () => random.uniform())
})()

async function lookAt(trained: TrainedModel) {
  const insides = Insides.of(cpu, trained.model)!
  onTestFinished(() => insides.close())
  const { attention, stages } = await insides.look(trained.params, noise)
  const byName = new Map(stages!.map(s => [s.name, s]))
  return { attention: attention!, insides, stage: (name: string) => byName.get(name)! }
}

/** What the exported file answers. */
async function exported(trained: TrainedModel): Promise<Float32Array> {
  const session = await cpu.load(exportOnnx(trained))
  const { logits } = await session.run({ image: cpu.tensor('float32', noise, [1, 2, 8, 8]) })
  await session.close()
  return logits!.data as Float32Array
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
  const { mean: means, std } = NORMALIZATION
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
  const { stage, attention } = await lookAt(trained)
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
    expect(attention[block]!.shape).toEqual([CONFIG.heads, T, T])
    near(attention[block]!.data, maps.flat(2))
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
  const { stage } = await lookAt(trained)
  const logits = await exported(trained)
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
  near(stage('answers').data.slice(-3), logits, 1e-4)
  near(stage('logits').data, logits)
})

test('a ViT that pools the mean, drops out and has a deeper head can be looked into as well', async () => {
  const trained = lively({ ...CONFIG, pool: 'mean', head: [7], dropout: 0.2, dropPath: 0.1 })
  const { stage } = await lookAt(trained)
  const logits = await exported(trained)
  const { norm } = plainly(trained)
  const patches = rows(stage('blocks.2').data, D).slice(1)
  const pooled = patches.reduce(plus).map(v => v / 4)
  near(stage('norm').data, norm('fc_norm', pooled), 1e-4)
  near(stage('answers').data.slice(-3), logits, 1e-4)
})

test('positions are compared by the cosine of their angle', async () => {
  const trained = lively()
  const { insides } = await lookAt(trained)
  const { data, shape } = insides.positions(trained.params)
  expect(shape).toEqual([T, T])
  const [, a = [], b = []] = rows(plainly(trained).weight('pos_embed'), D)
  const dot = (x: Vector, y: Vector) => x.reduce((sum, v, i) => sum + v * y[i]!, 0)
  expect(data[T + 2]).toBeCloseTo(dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)), 6)
  expect(data[2 * T + 2]).toBeCloseTo(1, 6)
})

test('the same session looks with other parameters', async () => {
  const trained = lively()
  const { insides, stage } = await lookAt(trained)
  const params = trained.params.map(v => v / 2)
  const { stages } = await insides.look(params, noise)
  near(stages!.find(s => s.name === 'logits')!.data, await exported({ ...trained, params }))
  near(stage('logits').data, await exported(trained))
})

test('an exported file tells the model that it was made of', () => {
  const trained = { ...lively(), training: { testAccuracy: 0.5 } }
  expect(trainedOf(readOnnx(exportOnnx(trained), 'vit.onnx'))).toEqual({
    ...trained,
    model: expect.objectContaining({ config: CONFIG, normalization: { image: NORMALIZATION } }),
  })
})

test('a model that is no ViT has no such insides', () => {
  const model = mlp({ image: 8, channels: 1, classes: 3, hidden: [5] })
  expect(Insides.of(cpu, model)).toBeUndefined()
})

test.each([
  ['nothing of its architecture', undefined],
  ['an architecture that is not known', { name: 'other', config: CONFIG }],
  ['a configuration that cannot be built', { name: 'vit', config: { ...CONFIG, heads: 4 } }],
  ['another size than its weights have', { name: 'vit', config: { ...CONFIG, depth: 4 } }],
])('a file that says %s is no model of ours', (_, model) => {
  const { model: own, ...info } = readOnnx(exportOnnx(lively()), 'vit.onnx')
  expect(trainedOf({ ...info, model: own! })).toBeDefined()
  expect(trainedOf({ ...info, ...(model && { model }) })).toBeUndefined()
})
