import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildModel, MODELS, type ViTConfig } from '../../../models/index.ts'
import { inferredConfig } from '../../../models/inferred.ts'
import { readSafetensors, type SafeTensor } from '../../../src/export/safetensors.ts'
import { shapesAs, startFrom } from '../../../src/finetune/pretrained/start.ts'
import { initialized } from '../../../src/nn/trained.ts'
import { nodeRuntime } from '../../../src/runtime/node.ts'
import type { Runtime } from '../../../src/runtime/session.ts'
import { openPredictor } from '../../../src/train/predictor.ts'

// Checkpoints that scripts/pretrained-references.py wrote, with what their libraries compute.

const FOLDER = fileURLToPath(new URL('./checkpoints/', import.meta.url))
const ENDING = '.bin.gz'
const names = readdirSync(FOLDER)
  .filter(file => file.endsWith(ENDING))
  .map(file => file.slice(0, -ENDING.length))
  .sort()

/** Of a logit, relative to the largest. */
const TOLERANCE = 1e-5

function fixture(name: string) {
  const file = `${FOLDER}${name}${ENDING}`
  const { tensors, metadata } = readSafetensors(gunzipSync(readFileSync(file)), file)
  const weights: Record<string, SafeTensor> = {}
  for (const [key, tensor] of Object.entries(tensors))
    if (key.startsWith('weights.')) weights[key.slice('weights.'.length)] = tensor
  return {
    model: buildModel(metadata.model!, JSON.parse(metadata.config!)),
    weights,
    image: tensors['in.image']!,
    logits: tensors['out.logits']!,
  }
}

let runtime: Runtime
beforeAll(async () => {
  runtime = await nodeRuntime('cpu')
})
afterAll(() => runtime.close())

describe('a model that starts from weights computes what their library does', () => {
  test.each(names)('%s', async name => {
    const { model, weights, image, logits } = fixture(name)
    const started = startFrom(model, weights)
    expect({ missing: started.missing, unexpected: started.unexpected }).toEqual({
      missing: [],
      unexpected: [],
    })
    const predictor = await openPredictor(runtime, initialized(started.model))
    const got = await predictor.run({ image: { data: image.data as Float32Array, dims: image.shape } })
    await predictor.close()
    const wanted = Array.from(logits.data, Number)
    const own = got.logits!.data as Float32Array
    expect(own.length).toBe(wanted.length)
    const apart = wanted.map((v, i) => Math.abs(v - own[i]!))
    expect(Math.max(...apart) / Math.max(...wanted.map(Math.abs))).toBeLessThan(TOLERANCE)
  })
})

test('what was adapted is listed with both shapes', () => {
  const of = (name: string) => {
    const { model, weights } = fixture(name)
    return startFrom(model, weights).adapted.map(
      ({ name, from, to, how }) => `${name} [${from}] → [${to}]: ${how}`,
    )
  }
  expect(of('timm-vit')).toEqual([])
  expect(of('timm-vit-adapted')).toEqual([
    'pos_embed [1,17,16] → [1,37,16]: interpolated',
    'patch_embed.proj.weight [16,3,4,4] → [16,1,4,4]: channels summed',
  ])
  expect(of('timm-deit-adapted')).toEqual([
    'pos_embed [1,51,16] → [1,18,16]: interpolated',
    'patch_embed.proj.weight [16,3,4,4] → [16,5,4,4]: channels repeated and scaled',
  ])
  expect(of('timm-vit-larger-patches')).toEqual([
    'patch_embed.proj.weight [16,3,4,4] → [16,3,7,7]: resampled',
  ])
  expect(of('timm-resnet-one-channel')).toEqual(['conv1.weight [64,3,7,7] → [64,1,7,7]: channels summed'])
  expect(of('cct-authors')).toEqual([
    'blocks.0.attn.qkv.bias [] → [48]: zero: the weights have no bias',
    'blocks.1.attn.qkv.bias [] → [48]: zero: the weights have no bias',
  ])
})

test.each(names.filter(name => !/adapted|patches|one-channel/.test(name)))(
  'the configuration of %s follows from its shapes',
  name => {
    const { model, weights } = fixture(name)
    const kind = model.name as 'vit'
    const preset = MODELS[kind].presets
    const { shapes, config } = shapesAs(
      new Set(buildModel(kind, Object.values(preset)[0]!).parameters.keys()),
      weights,
    )
    // Small models have smaller heads, and nothing shows a ResNet's image.
    const { heads: _, image, ...own } = { ...inferredConfig(kind, shapes), ...config } as ViTConfig
    const { heads: __, image: side, ...wanted } = model.config as ViTConfig
    expect(own).toEqual({ ...(name.includes('resnet') ? { stem: 'imagenet' } : {}), ...wanted })
    if (kind === 'vit') expect(image).toBe(side)
  },
)
