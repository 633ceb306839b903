import { describe, expect, test } from 'vitest'
import { type Pixels, resample, type Size } from '../../src/data/resample.ts'
import { rng } from '../../src/graph/random.ts'
import { patterned } from './pictures.ts'

/** The same filter by its definition, in floating point: no fixed point, no rounding between the passes. */
function exact({ data, width, height, channels }: Pixels, to: Size): number[] {
  const weights = (from: number, size: number, i: number): number[] => {
    const scale = from / size
    const reach = Math.max(1, scale)
    const raw = Array.from({ length: from }, (_, p) =>
      Math.max(0, 1 - Math.abs(p + 0.5 - (i + 0.5) * scale) / reach),
    )
    const sum = raw.reduce((a, b) => a + b)
    return raw.map(w => w / sum)
  }
  const out: number[] = []
  for (let y = 0; y < to.height; y++) {
    const rows = weights(height, to.height, y)
    for (let x = 0; x < to.width; x++) {
      const columns = weights(width, to.width, x)
      for (let c = 0; c < channels; c++) {
        let sum = 0
        rows.forEach((wy, j) => {
          columns.forEach((wx, i) => {
            sum += wy * wx * data[(j * width + i) * channels + c]!
          })
        })
        out.push(sum)
      }
    }
  }
  return out
}

describe('resampling', () => {
  test('gives the bytes of Pillow 13, resize(size, BILINEAR)', () => {
    const resized = (picture: Pixels, width: number, height: number) => [
      ...resample(picture, { width, height }).data,
    ]
    expect(resized(patterned(7, 5, 1), 3, 4)).toEqual([
      56, 120, 158, 147, 125, 114, 110, 142, 145, 140, 136, 168,
    ])
    expect(resized(patterned(3, 2, 1), 5, 4)).toEqual([
      0, 15, 37, 59, 74, 23, 39, 62, 85, 100, 68, 86, 111, 136, 153, 91, 109, 135, 161, 179,
    ])
    expect(resized(patterned(11, 9, 3), 2, 2)).toEqual([
      125, 134, 133, 126, 131, 130, 128, 129, 130, 131, 127, 121,
    ])
  })

  test.each<[number, number, 1 | 3, number, number]>([
    [1, 1, 3, 5, 7],
    [40, 30, 3, 7, 9],
    [13, 17, 1, 31, 29],
    [1, 50, 3, 4, 3],
    [50, 2, 1, 3, 11],
    [9, 9, 3, 9, 4],
  ])(
    '%i × %i with %i channels to %i × %i is within the two roundings of the filter’s definition',
    (w, h, channels, width, height) => {
      const random = rng(w * 100 + h)
      const data = Uint8Array.from({ length: w * h * channels }, () => random.int(256))
      const picture = { data, width: w, height: h, channels }
      const want = exact(picture, { width, height })
      const got = resample(picture, { width, height })
      expect([got.width, got.height, got.channels, got.data.length]).toEqual([
        width,
        height,
        channels,
        want.length,
      ])
      expect(Math.max(...want.map((v, i) => Math.abs(v - got.data[i]!)))).toBeLessThan(1.01)
    },
  )

  test('to its own size leaves a picture as it is', () => {
    const picture = patterned(9, 5, 3)
    expect(resample(picture, picture).data).toEqual(picture.data)
  })

  test('of a window gives that part of the whole', () => {
    const picture = patterned(23, 31, 3)
    const whole = resample(picture, { width: 12, height: 40 })
    const part = resample(picture, { width: 12, height: 40 }, { left: 5, top: 33, width: 4, height: 7 })
    const want = Array.from({ length: 7 }, (_, y) => [
      ...whole.data.subarray(((33 + y) * 12 + 5) * 3, ((33 + y) * 12 + 9) * 3),
    ])
    expect([...part.data]).toEqual(want.flat())
  })
})
