import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AugmentOptions, augmentation } from '../../src/data/augment.ts'
import { UserError } from '../../src/graph/errors.ts'
import { type Rng, rng } from '../../src/graph/random.ts'

type Shape = readonly [channels: number, height: number, width: number]

/** Draws that are always the same: a setting of `most` becomes most · (2u − 1). */
const always = (u: number): Rng => ({ uniform: () => u, normal: () => 0, int: () => 0 })

const noise = ([channels, height, width]: Shape, seed = 1): Float32Array => {
  const random = rng(seed)
  return Float32Array.from({ length: channels * height * width }, () => random.uniform())
}

function augmented(options: AugmentOptions, shape: Shape, pixels: Float32Array, random: Rng): Float32Array {
  const changed = pixels.slice()
  augmentation(options).of(shape).image(changed, random)
  return changed
}

/** What torchvision's affine does, written plainly: each pixel of the result looks up where it came from. */
function warped(pixels: Float32Array, [channels, height, width]: Shape, o: AugmentOptions): Float32Array {
  const { shift = 0, rotate = 0, scale = 0, shear = 0 } = o
  const angle = (rotate * Math.PI) / 180
  const lean = Math.tan((shear * Math.PI) / 180)
  const grow = 1 + scale
  // Scaled, then sheared, then turned.
  const a = grow * Math.cos(angle)
  const b = grow * (-lean * Math.cos(angle) - Math.sin(angle))
  const c = grow * Math.sin(angle)
  const d = grow * (-lean * Math.sin(angle) + Math.cos(angle))
  const det = a * d - b * c
  const out = new Float32Array(pixels.length)
  for (let k = 0; k < channels; k++) {
    const at = (x: number, y: number): number =>
      x < 0 || y < 0 || x >= width || y >= height ? 0 : pixels[(k * height + y) * width + x]!
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const u = x - (width - 1) / 2 - shift * width
        const v = y - (height - 1) / 2 - shift * height
        const fromX = (d * u - b * v) / det + (width - 1) / 2
        const fromY = (-c * u + a * v) / det + (height - 1) / 2
        const [i, j] = [Math.floor(fromX), Math.floor(fromY)]
        const [p, q] = [fromX - i, fromY - j]
        out[(k * height + y) * width + x] =
          (1 - q) * ((1 - p) * at(i, j) + p * at(i + 1, j)) +
          q * ((1 - p) * at(i, j + 1) + p * at(i + 1, j + 1))
      }
    }
  }
  return out
}

const furthest = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0)

/** Two channels that say where a pixel came from, in 0 … 1 across the image. */
const SIDE = 41
const places = Float32Array.from({ length: 2 * SIDE * SIDE }, (_, i) =>
  i < SIDE * SIDE ? (i % SIDE) / (SIDE - 1) : Math.floor((i - SIDE * SIDE) / SIDE) / (SIDE - 1),
)
/** So many draws: for each, where the pixel at (x, y) came from. */
function sources(options: AugmentOptions, draws: number) {
  const augmenter = augmentation(options).of([2, SIDE, SIDE])
  return Array.from({ length: draws }, (_, i) => {
    const pixels = places.slice()
    augmenter.image(pixels, rng(i))
    return (x: number, y: number): [number, number] => [
      pixels[y * SIDE + x]! * (SIDE - 1),
      pixels[(SIDE + y) * SIDE + x]! * (SIDE - 1),
    ]
  })
}

const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length

/** Uniform over −most … most: never beyond, nearly there, with the mean and the variance of that. */
function expectEither(values: readonly number[], most: number) {
  expect(Math.max(...values.map(Math.abs))).toBeLessThan(most * 1.0001)
  expect(Math.min(...values)).toBeLessThan(-0.98 * most)
  expect(Math.max(...values)).toBeGreaterThan(0.98 * most)
  expect(Math.abs(mean(values))).toBeLessThan(0.06 * most)
  expect(mean(values.map(v => v * v)) / (most ** 2 / 3)).toBeCloseTo(1, 1)
}

describe('an image', () => {
  test('stays as it is where every setting is 0', () => {
    const shape: Shape = [3, 9, 7]
    const image = noise(shape)
    const nothing = { shift: 0, rotate: 0, scale: 0, shear: 0, elastic: 0, erase: 0, flip: false, mixup: 0 }
    expect(augmented(nothing, shape, image, rng(1))).toEqual(image)
    expect(augmentation(nothing).of(shape).mix).toBeUndefined()
  })

  test.each<AugmentOptions>([
    { shift: 0.13 },
    { rotate: 25 },
    { scale: 0.3 },
    { shear: 20 },
    { shift: 0.1, rotate: 15, scale: 0.1, shear: 10 },
  ])('is warped as by a plain bilinear transformation: %o', most => {
    for (const shape of [
      [1, 28, 28],
      [3, 11, 17],
    ] as const) {
      for (const u of [0, 0.3, 0.9]) {
        const drawn = Object.fromEntries(Object.entries(most).map(([name, v]) => [name, v * (2 * u - 1)]))
        const image = noise(shape)
        const result = augmented(most, shape, image, always(u))
        expect(furthest(result, warped(image, shape, drawn))).toBeLessThan(1e-6)
        expect(furthest(result, image)).toBeGreaterThan(0.1)
      }
    }
  })

  test('turns about its centre without loss by a right angle', () => {
    const image = noise([1, 8, 8])
    const turned = image.map((_, i) => image[(7 - (i % 8)) * 8 + Math.floor(i / 8)]!)
    expect(furthest(augmented({ rotate: 180 }, [1, 8, 8], image, always(0.75)), turned)).toBeLessThan(1e-6)
  })

  test('is mirrored exactly, half of the time', () => {
    const shape: Shape = [2, 3, 5]
    const image = noise(shape)
    const mirrored = image.map((_, i) => image[i - (i % 5) + 4 - (i % 5)]!)
    let flips = 0
    for (let i = 0; i < 1000; i++) {
      const result = augmented({ flip: true }, shape, image, rng(i))
      if (result[0] === mirrored[0]) flips++
      expect(result).toEqual(result[0] === mirrored[0] ? mirrored : image)
    }
    expect(Math.abs(flips - 500)).toBeLessThan(60)
  })

  test('keeps its pixels in [0, 1], whatever its shape and the settings', () => {
    const upTo = (max: number) => fc.double({ min: 0, max, noNaN: true })
    const settings = fc.record({
      shift: upTo(1),
      rotate: upTo(180),
      scale: upTo(0.9),
      shear: upTo(60),
      elastic: upTo(100),
      erase: upTo(1),
      flip: fc.boolean(),
    })
    const side = fc.integer({ min: 1, max: 12 })
    fc.assert(
      fc.property(settings, side, side, fc.nat(), (options, height, width, seed) => {
        const shape: Shape = [2, height, width]
        const result = augmented(options, shape, noise(shape, seed).map(Math.round), rng(seed))
        expect(result.every(v => v >= 0 && v <= 1)).toBe(true)
      }),
      { numRuns: 200 },
    )
  })

  test('keeps its ink where it is only moved, turned and leant', () => {
    const ring = Float32Array.from({ length: 784 }, (_, i) => {
      const radius = Math.hypot((i % 28) - 13.5, Math.floor(i / 28) - 13.5)
      return Math.max(0, 1 - Math.abs(radius - 7) / 2)
    })
    const ink = (image: Float32Array): number => image.reduce((sum, v) => sum + v, 0)
    const augmenter = augmentation({ shift: 0.07, rotate: 15, shear: 10 }).of([1, 28, 28])
    for (let i = 0; i < 100; i++) {
      const image = ring.slice()
      augmenter.image(image, rng(i))
      expect(ink(image) / ink(ring)).toBeCloseTo(1, 2)
    }
  })
})

describe('draws reach over the whole range of', () => {
  const centre = (SIDE - 1) / 2

  test('shift, along both axes', () => {
    const moves = sources({ shift: 0.1 }, 2000).map(from =>
      from(centre, centre).map(v => (v - centre) / SIDE),
    )
    expectEither(
      moves.map(m => m[0]!),
      0.1,
    )
    expectEither(
      moves.map(m => m[1]!),
      0.1,
    )
    expect(Math.abs(mean(moves.map(m => m[0]! * m[1]!)))).toBeLessThan(0.0003)
  })

  test('rotation', () => {
    const angles = sources({ rotate: 20 }, 2000).map(from => {
      const [x, y] = from(centre + 8, centre)
      return (Math.atan2(y - centre, x - centre) * 180) / Math.PI
    })
    expectEither(angles, 20)
  })

  test('scale', () => {
    expectEither(
      sources({ scale: 0.2 }, 2000).map(from => 8 / (from(centre + 8, centre)[0] - centre) - 1),
      0.2,
    )
  })

  test('shear, which leaves rows in their place', () => {
    const leant = sources({ shear: 20 }, 2000).map(from => from(centre, centre + 8))
    expectEither(
      leant.map(([x]) => (Math.atan2(x - centre, 8) * 180) / Math.PI),
      20,
    )
    expect(Math.max(...leant.map(([, y]) => Math.abs(y - centre - 8)))).toBeLessThan(1e-4)
  })
})

test('an elastic distortion moves pixels by so many on average, smoothly as under a Gaussian of 1/7 of the side', () => {
  const lag = 6
  const inner = [8, 13, 18, 23]
  const pairs = sources({ elastic: 1.5 }, 2000).flatMap(from =>
    inner.flatMap(y =>
      inner.map(x => {
        const [here, there] = [from(x, y), from(x + lag, y)]
        return [here[0] - x, here[1] - y, there[0] - x - lag] as const
      }),
    ),
  )
  const product = (i: 0 | 1, j: 0 | 1 | 2): number => mean(pairs.map(p => p[i] * p[j])) / 1.5 ** 2
  expect(Math.sqrt(product(0, 0))).toBeCloseTo(1, 1)
  expect(Math.sqrt(product(1, 1))).toBeCloseTo(1, 1)
  expect(product(0, 1)).toBeCloseTo(0, 1)
  expect(Math.abs(mean(pairs.map(p => p[0])))).toBeLessThan(0.1)
  // White noise under a Gaussian correlates over a distance as under one of √2 times the deviation.
  expect(product(0, 2) / product(0, 0)).toBeCloseTo(Math.exp(-(lag ** 2) / (4 * (SIDE / 7) ** 2)), 1)
})

test('erasing blackens a rectangle in all channels, of 2 to 33 % of the area, in so many of the images', () => {
  const [height, width] = [32, 40]
  const augmenter = augmentation({ erase: 0.3 }).of([2, height, width])
  const areas: number[] = []
  for (let i = 0; i < 1000; i++) {
    const image = new Float32Array(2 * height * width).fill(1)
    augmenter.image(image, rng(i))
    const black = [...image.keys()].filter(p => image[p] === 0)
    if (!black.length) continue
    const plane = black.filter(p => p < height * width)
    expect(black.slice(plane.length)).toEqual(plane.map(p => p + height * width))
    const [w, h] = [
      new Set(plane.map(p => p % width)).size,
      new Set(plane.map(p => Math.floor(p / width))).size,
    ]
    expect(plane.length).toBe(w * h)
    expect(h / w).toBeGreaterThan(0.25)
    expect(h / w).toBeLessThan(4)
    areas.push(plane.length / (height * width))
  }
  expect(Math.abs(areas.length - 300)).toBeLessThan(50)
  expect(Math.min(...areas)).toBeGreaterThan(0.015)
  expect(Math.max(...areas)).toBeLessThan(0.35)
  expect(Math.max(...areas) - Math.min(...areas)).toBeGreaterThan(0.28)
})

describe('settings', () => {
  const problem = (options: object): string => {
    try {
      augmentation(options)
    } catch (error) {
      if (error instanceof UserError) return error.message
      throw error
    }
    return 'none'
  }

  test('are told', () => {
    expect(augmentation({ rotate: 10, flip: false, shift: undefined }).settings).toEqual({
      rotate: 10,
      flip: false,
    })
  })

  test('that are unknown or out of range are refused', () => {
    expect(problem({ rotate: 200 })).toBe('augment: rotate must be a number in 0 … 180, not 200')
    expect(problem({ shift: -0.1 })).toBe('augment: shift must be a number in 0 … 1, not -0.1')
    expect(problem({ elastic: Number.NaN })).toBe('augment: elastic must be a number in 0 … 100, not NaN')
    expect(problem({ erase: '0.5' })).toBe('augment: erase must be a number in 0 … 1, not 0.5')
    expect(problem({ flip: 1 })).toBe('augment: flip must be true or false, not 1')
    expect(problem({ toString: 1 })).toBe(
      'augment: unknown setting toString; the settings are shift, rotate, scale, shear, elastic, erase, mixup, cutmix, flip',
    )
  })
})
