import { describe, expect, test } from 'vitest'
import { type AugmentOptions, augmentation } from '../../src/data/augment.ts'
import { batches } from '../../src/data/batches.ts'
import type { ImageDataset } from '../../src/data/dataset.ts'

const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length

describe('a mixture', () => {
  /** One-coloured images, 12 × 10: image i and its class are i. */
  const size = 101
  const plain: ImageDataset = {
    name: 'plain',
    size,
    shape: [1, 12, 10],
    classes: Array.from({ length: size }, (_, i) => `${i}`),
    images: Uint8Array.from({ length: size * 120 }, (_, i) => Math.floor(i / 120)),
    labels: Uint8Array.from({ length: size }, (_, i) => i),
  }
  /** Every image of 20 epochs, in batches of 32 and one of 5: its pixels as numbers of images, its two classes and the share. */
  function mixtures(options: AugmentOptions) {
    const found: { pixels: number[]; label: number; other: number; share: number }[] = []
    for (let epoch = 0; epoch < 20; epoch++) {
      for (const batch of batches(plain, { batch: 32, epoch, augment: augmentation(options) })) {
        const { image, label, mixedLabel, mixedShare } = batch
        const [count] = image!.dims as [number]
        expect([mixedLabel?.dims, mixedShare?.dims]).toEqual([[count], [count]])
        const [input, own, other, share] = [image, label, mixedLabel, mixedShare].map(
          a => a!.data as Float32Array,
        )
        for (let i = 0; i < count; i++) {
          const pixels = Array.from(input!.subarray(i * 120, (i + 1) * 120), v => v * 255)
          found.push({ pixels, label: own![i]!, other: other![i]!, share: share![i]! })
        }
      }
    }
    return found
  }
  test('by mixup is the mean of two images with the shares of their classes', () => {
    const found = mixtures({ mixup: 0.5 })
    for (const { pixels, label, other, share } of found) {
      expect(new Set(pixels).size).toBe(1)
      expect(pixels[0]).toBeCloseTo(share * label + (1 - share) * other, 3)
    }
    expect(found.filter(m => m.label === m.other).length).toBe(20) // the middle one of the five
    // Beta(1/2, 1/2) is the arcsine distribution: P(share < x) = 2/π · asin(√x).
    for (const x of [0.1, 0.5, 0.8]) {
      const below = found.filter(m => m.share < x).length / found.length
      expect(Math.abs(below - (2 / Math.PI) * Math.asin(Math.sqrt(x)))).toBeLessThan(0.04)
    }
  })

  test('by CutMix has a rectangle of the other image, and shares that are the areas', () => {
    const found = mixtures({ cutmix: 1 })
    for (const { pixels, label, other, share } of found) {
      if (label === other) continue
      const from = [...pixels.keys()].filter(p => Math.round(pixels[p]!) === other)
      expect(pixels.filter(v => Math.round(v) === label).length + from.length).toBe(120)
      expect(share).toBe(Math.fround(1 - from.length / 120))
      const [w, h] = [new Set(from.map(p => p % 10)).size, new Set(from.map(p => Math.floor(p / 10))).size]
      expect(from.length).toBe(w * h)
    }
    const shares = found.map(m => m.share)
    expect(Math.min(...shares)).toBeLessThan(0.25)
    expect(Math.max(...shares)).toBeGreaterThan(0.97)
  })

  test('is of either kind where both are asked for, as often', () => {
    // At this α every share is nearly a half, so that no mixture looks like a single image.
    const found = mixtures({ mixup: 100, cutmix: 100 }).filter(m => m.label !== m.other)
    const blends = found.filter(m => new Set(m.pixels).size === 1).length
    expect(Math.abs(blends / found.length - 0.5)).toBeLessThan(0.04)
  })

  test.each([0.001, 0.2, 1, 5])(
    'has shares with the mean and the variance of Beta(α, α) for an α of %d',
    alpha => {
      const shares = mixtures({ mixup: alpha }).map(m => m.share)
      expect(mean(shares)).toBeCloseTo(0.5, 1)
      expect(mean(shares.map(s => (s - 0.5) ** 2)) * 4 * (2 * alpha + 1)).toBeCloseTo(1, 1)
    },
  )
})
