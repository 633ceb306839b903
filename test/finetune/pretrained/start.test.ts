import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cct, resnet, vit } from '../../../models/index.ts'
import { exportOnnx } from '../../../src/export/export.ts'
import { writeSafetensors } from '../../../src/export/safetensors.ts'
import { parameterAttrs } from '../../../src/graph/leaf.ts'
import type { Model } from '../../../src/nn/model.ts'
import { normalized } from '../../../src/nn/normalize.ts'
import { initialized, weightsOf } from '../../../src/nn/trained.ts'
import {
  classification,
  loadPretrained,
  type PretrainedWeights,
  startFrom,
  train,
} from '../../../src/node.ts'

const TINY = { image: 8, channels: 1, patch: 4, dim: 4, depth: 1, heads: 2, mlp: 4, classes: 3 } as const
const RESNET = {
  image: 8,
  channels: 1,
  block: 'basic',
  layers: [1, 1],
  widths: [2, 3],
  stem: 'cifar',
} as const

/** Weights of a model with another seed, under names of their own. */
const weightsLike = (model: Model, name: (own: string) => string = own => own): PretrainedWeights =>
  Object.fromEntries(
    [...weightsOf(initialized(model, 7))].map(([own, data]) => [
      name(own),
      { shape: parameterAttrs(model.parameters.get(own)!).shape, data },
    ]),
  )

const valuesOf = (model: Model) => weightsOf(initialized(model))

describe('a model that starts from weights', () => {
  test('is the same graph with other initial values', () => {
    const model = resnet({ ...RESNET, classes: 3 })
    const weights = weightsLike(model)
    const started = startFrom(model, weights)
    expect(started.loaded).toEqual([...model.parameters.keys()])
    expect(started).toMatchObject({ missing: [], unexpected: [], adapted: [] })
    for (const [name, values] of valuesOf(started.model)) expect(values).toEqual(weights[name]!.data)
    expect(Object.keys(started.model.assigned)).toEqual(Object.keys(model.assigned))
    const decays = (of: Model) =>
      [...of.parameters.values()].map(p => [parameterAttrs(p).decay, parameterAttrs(p).buffer])
    expect(decays(started.model)).toEqual(decays(model))
  })

  test('keeps its normalization and intermediates, and exports', () => {
    const model = normalized(vit(TINY), 'image', { mean: [0.5], std: [0.25] })
    const { model: started } = startFrom(model, weightsLike(model))
    expect(started.normalization).toEqual(model.normalization)
    expect(Object.keys(started.intermediates)).toEqual(['attention.0'])
    expect(exportOnnx(started, { intermediates: 'attention.*' }).length).toBeGreaterThan(1000)
  })

  test('learns, with its running statistics', async () => {
    const model = resnet({ ...RESNET, classes: 2 })
    const { model: started } = startFrom(model, weightsLike(model))
    const image = Array.from({ length: 8 }, (_, i) => [Array.from({ length: 8 }, () => Array(8).fill(i / 8))])
    const label = image.map((_, i) => Number(i > 3))
    const run = await train(started, { task: classification(), data: { image, label }, epochs: 1 })
    const moved = weightsOf(run.model).get('bn1.running_mean')
    expect(moved).not.toEqual(valuesOf(started).get('bn1.running_mean'))
  })

  test('keeps its own head where the weights have other classes', () => {
    const model = vit({ ...TINY, classes: 5 })
    const started = startFrom(model, weightsLike(vit(TINY)))
    expect(started.adapted).toEqual([
      { name: 'head.weight', from: [3, 4], to: [5, 4], how: 'not loaded: 3 classes for 5' },
      { name: 'head.bias', from: [3], to: [5], how: 'not loaded: 3 classes for 5' },
    ])
    expect(started.loaded).not.toContain('head.weight')
    expect(started.missing).toEqual([])
    expect(valuesOf(started.model).get('head.weight')).toEqual(valuesOf(model).get('head.weight'))
  })

  test('lists what the weights lack, and what it does not have', () => {
    const { 'norm.bias': _, ...weights } = weightsLike(vit(TINY), name =>
      `_orig_mod.module.${name}`.replace('_orig_mod.module.norm.bias', 'norm.bias'),
    )
    const started = startFrom(vit(TINY), {
      ...weights,
      'module.pooler.weight': { shape: [1], data: Float32Array.of(1) },
      'bn.num_batches_tracked': { dtype: 'int64', shape: [], data: BigInt64Array.of(9n) },
      ids: { dtype: 'int64', shape: [1], data: BigInt64Array.of(9n) },
    })
    expect(started.missing).toEqual(['norm.bias'])
    expect(started.unexpected).toEqual(['module.pooler.weight', 'ids'])
  })

  test('takes the norm of a ViT that pools otherwise, and half precision', () => {
    const weights = weightsLike(vit(TINY))
    const half = { dtype: 'float16', shape: [4], data: Uint16Array.of(0x3c00, 0xc000, 0x3555, 1) } as const
    const started = startFrom(vit({ ...TINY, pool: 'mean' }), { ...weights, 'norm.weight': half })
    expect(started.adapted.map(({ name, how }) => `${name}: ${how}`)).toEqual([
      'fc_norm.weight: from norm.weight',
      'fc_norm.bias: from norm.bias',
    ])
    expect(valuesOf(started.model).get('fc_norm.weight')).toEqual(
      Float32Array.of(1, -2, 0.333251953125, 2 ** -24),
    )
  })

  test('leaves out a distillation token that it does not have', () => {
    const weights = weightsLike(vit({ ...TINY, distilled: true }))
    const started = startFrom(vit(TINY), weights)
    expect(started.adapted).toEqual([
      { name: 'pos_embed', from: [1, 6, 4], to: [1, 5, 4], how: 'without the distillation token' },
    ])
    expect(started.unexpected).toEqual(['dist_token', 'head_dist.weight', 'head_dist.bias'])
    const all = Array.from(weights.pos_embed!.data as Float32Array)
    expect([...valuesOf(started.model).get('pos_embed')!]).toEqual([...all.slice(0, 4), ...all.slice(8)])
  })

  test('takes what onnxgrad has saved', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'onnxgrad-pretrained-'))
    const model = vit(TINY)
    const tensors = Object.entries(weightsLike(model)).map(
      ([name, t]) => [name, { dtype: 'float32', ...t }] as const,
    )
    const file = join(folder, 'weights.safetensors')
    await writeFile(file, writeSafetensors(Object.fromEntries(tensors)))
    expect((await loadPretrained(model, file)).loaded).toEqual([...model.parameters.keys()])
    await rm(folder, { recursive: true })
  })
})

describe('weights that do not fit are refused', () => {
  const model = vit(TINY)
  const weights = weightsLike(model)
  const published = cct({ ...TINY, kernel: 3, planes: [], residualNorm: true })
  const authors = weightsLike(published, name =>
    `classifier.${name}`.replace('attn', 'self_attn').replace('norm1', 'pre_norm'),
  )
  test.each<[message: string, model: Model, weights: PretrainedWeights]>([
    [
      "weights: no name is one of the model's; the weights have encoder.w, encoder.b, vit has cls_token, pos_embed, patch_embed.proj.weight",
      model,
      { 'encoder.w': weights.cls_token!, 'encoder.b': weights.cls_token! },
    ],
    [
      "weights: no name is one of the model's; the weights have no float tensors, vit has cls_token, pos_embed, patch_embed.proj.weight",
      model,
      {},
    ],
    [
      'weights: cls_token is [1,1,4] in the weights, but [1,1,8] in the model; build the model with the sizes of the weights',
      vit({ ...TINY, dim: 8 }),
      weights,
    ],
    [
      'weights: pos_embed is [1,5,4] in the weights, but [1,6,4] in the model; build the model with the sizes of the weights',
      vit({ ...TINY, distilled: true }),
      weights,
    ],
    [
      'weights: conv1.weight is [2,1,3,3] in the weights, but [2,1,7,7] in the model; build the model with the sizes of the weights',
      resnet({ ...RESNET, classes: 2, stem: 'imagenet' }),
      weightsLike(resnet({ ...RESNET, classes: 2 })),
    ],
    [
      'weights: cls_token has 3 values, which do not fill [1,1,4]',
      model,
      { cls_token: { shape: [1, 1, 4], data: new Float32Array(3) } },
    ],
    [
      "cct: these are weights of the authors' code, whose blocks normalize the residual stream; build the model with residualNorm: true",
      cct({ ...TINY, kernel: 3, planes: [] }),
      authors,
    ],
  ])('%s', (message, model, weights) => {
    expect(() => startFrom(model, weights)).toThrow(message)
  })
})
