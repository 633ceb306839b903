import { describe, expect, test } from 'vitest'
import { IMAGENET, preparationOf } from '../../src/finetune/preparation.ts'

const transformers = (config: object) => preparationOf({ 'preprocessor_config.json': JSON.stringify(config) })
const HALF = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] }

describe('preprocessor_config.json', () => {
  test.each([
    ['a mean and a deviation', { do_normalize: true, ...HALF }, [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]],
    [
      'null for what is not set',
      { do_normalize: null, do_rescale: null, rescale_factor: null, ...HALF },
      [0.5, 0.5, 0.5],
      [0.5, 0.5, 0.5],
    ],
    ['one number for all channels', { image_mean: 0.5, image_std: 0.25 }, [0.5], [0.25]],
    ['no normalization', { do_normalize: false, ...HALF }, [0], [1]],
    ['no normalization at all', { do_resize: true, do_flip_channel_order: true }, [0], [1]],
    // Pixels of 0 to 255 are divided by 127.5, less 1: (p - 0.5) / 0.5.
    ['an offset', { do_normalize: false, rescale_factor: 1 / 127.5, rescale_offset: true }, [0.5], [0.5]],
    // Pixels of 0 to 255 as they are: (255 p - 128) / 64.
    ['no rescaling', { do_rescale: false, image_mean: [127.5], image_std: [63.75] }, [0.5], [0.25]],
  ])('with %s', (_, config, mean, std) => {
    const { normalization, from } = transformers(config)
    for (const [own, wanted] of [
      [normalization!.mean, mean],
      [normalization!.std, std],
    ] as const) {
      expect(own).toHaveLength(wanted.length)
      for (const [i, v] of own.entries()) expect(v).toBeCloseTo(wanted[i]!, 6)
    }
    expect(from).toEqual(['preprocessor_config.json'])
  })

  test.each([
    ['a side', { size: 224 }, [224, 224]],
    ['two sides', { size: [224, 192] }, [224, 192]],
    ['height and width', { size: { height: 64, width: 96 } }, [64, 96]],
    ['a crop', { do_center_crop: true, crop_size: 224, size: 256 }, [224, 224]],
    [
      'a crop of two sides',
      { do_center_crop: true, crop_size: { height: 224, width: 224 }, size: { shortest_edge: 256 } },
      [224, 224],
    ],
    ['the longest edge', { size: { longest_edge: 512 } }, undefined],
  ])('has %s', (_, config, size) => {
    expect(transformers(config).size).toEqual(size)
  })

  test('with a deviation that cannot be is refused', () => {
    const config = (image_std: unknown, more = {}) => ({ image_mean: [0, 0, 0], image_std, ...more })
    expect(() => transformers(config([1, 0, 1]))).toThrow(
      'image_std is [1,0,1]; it must be a number per channel, above 0',
    )
    expect(() => transformers(config(['1', 1, 1]))).toThrow('image_std')
    expect(() => transformers(config([1, 1, 1], { rescale_factor: 0 }))).toThrow('rescale_factor is 0')
    expect(() => transformers(config([1, 1, 1]))).not.toThrow()
    expect(() => preparationOf({ 'config.json': '{' })).toThrow('config.json is not JSON')
  })
})

describe('config.json', () => {
  test('of timm has the normalization, of transformers the classes in the order of their numbers', () => {
    const { mean, std } = IMAGENET
    const timm = { pretrained_cfg: { mean, std, input_size: [3, 224, 224] } }
    expect(preparationOf({ 'config.json': JSON.stringify(timm) })).toEqual({
      normalization: IMAGENET,
      size: [224, 224],
      from: ['config.json'],
    })
    const id2label = Object.fromEntries(
      Array.from({ length: 11 }, (_, i) => [String(10 - i), `class ${10 - i}`]),
    )
    const both = preparationOf({
      'config.json': JSON.stringify({ id2label }),
      'preprocessor_config.json': JSON.stringify(HALF),
    })
    expect(both.classes).toEqual(Array.from({ length: 11 }, (_, i) => `class ${i}`))
    expect(both.from).toEqual(['preprocessor_config.json'])
  })
})
