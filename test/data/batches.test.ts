import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AugmentOptions, augmentation } from '../../src/data/augment.ts'
import { type Batch, batches, permutation } from '../../src/data/batches.ts'
import {
  type BatchedDataset,
  type Dataset,
  type ImageDataset,
  statistics,
  subset,
} from '../../src/data/dataset.ts'
import { UserError } from '../../src/graph/errors.ts'
import { rng } from '../../src/graph/random.ts'
import { type Ports, staged } from '../../src/train/examples.ts'
import { examples } from '../../src/train/forward.ts'
import { prefetch } from '../../src/train/prefetch.ts'

/** `size` images of 2 channels, 1 × 2, all of whose pixels are the image's number. */
function numbered(size: number): ImageDataset {
  const images = Uint8Array.from({ length: size * 4 }, (_, i) => i >> 2)
  const labels = Uint8Array.from({ length: size }, (_, i) => i % 7)
  return { name: 'numbered', size, shape: [2, 1, 2], classes: [...'0123456'], images, labels }
}

/** Images and labels of a batch, and how many there are. */
function arraysOf({ image, label }: Batch) {
  expect(label!.dims).toEqual([image!.dims[0]])
  return { image: image!.data as Float32Array, label: label!.data as Int32Array, count: label!.dims[0]! }
}

/** The numbers of the images, in the order in which they come. */
function seen(options: Parameters<typeof batches>[1], size = 100): number[] {
  const order: number[] = []
  for (const batch of batches(numbered(size), options)) {
    const { image, label, count } = arraysOf(batch)
    expect([image.length, label.length]).toEqual([count * 4, count])
    for (let i = 0; i < count; i++) {
      const number = Math.round(image[i * 4]! * 255)
      expect(image.subarray(i * 4, i * 4 + 4)).toEqual(new Float32Array(4).fill(number / 255))
      expect(label[i]).toBe(number % 7)
      order.push(number)
    }
  }
  return order
}

describe('an epoch', () => {
  test('brings every image once with its own label, whatever the sizes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 120 }),
        fc.integer({ min: 1, max: 130 }),
        fc.nat(),
        (size, batch, seed) => {
          const order = seen({ batch, seed }, size)
          expect(order.toSorted((a, b) => a - b)).toEqual([...Array(size).keys()])
        },
      ),
      { numRuns: 60 },
    )
  })

  test('is the same for the same seed and number, and another for another', () => {
    const first = seen({ batch: 32, seed: 1, epoch: 3 })
    expect(seen({ batch: 32, seed: 1, epoch: 3 })).toEqual(first)
    expect(seen({ batch: 7, seed: 1, epoch: 3 })).toEqual(first)
    expect(seen({ batch: 32, seed: 1, epoch: 4 })).not.toEqual(first)
    expect(seen({ batch: 32, seed: 3, epoch: 1 })).not.toEqual(first)
  })

  test('ends with a smaller batch, which is not dropped', () => {
    const counts = Array.from(batches(numbered(100), { batch: 32 }), batch => arraysOf(batch).count)
    expect(counts).toEqual([32, 32, 32, 4])
  })

  test('can be resumed in its middle', () => {
    expect(seen({ batch: 32, seed: 5, skip: 2 })).toEqual(seen({ batch: 32, seed: 5 }).slice(64))
  })

  test('keeps the order of the data on request', () => {
    expect(seen({ batch: 32, shuffle: false })).toEqual([...Array(100).keys()])
  })

  test('uses the same memory for all its batches', () => {
    const buffers = new Set<ArrayBufferLike>()
    for (const batch of batches(numbered(100), { batch: 32 })) {
      const { image, label } = arraysOf(batch)
      buffers.add(image.buffer).add(label.buffer)
    }
    expect(buffers.size).toBe(2)
  })

  test('refuses a batch size that is none', () => {
    expect(() => batches(numbered(3), { batch: 0 })).toThrow('batch must be a whole number above 0, not 0')
  })
})

/** Batches in memory of `allocate`, by turns. */
function inTurn(
  source: Dataset,
  options: Parameters<typeof batches>[1],
  allocate: (bytes: number) => ArrayBufferLike,
  together?: number,
) {
  const shape = 'images' in source ? source.shape : [2, 1, 2]
  const label = { dtype: 'int32', shape: ['batch'] } as const
  const ports: Ports = {
    image: { dtype: 'float32', shape: ['batch', ...shape] },
    label,
    ...(options.augment ? { mixedLabel: label, mixedShare: { dtype: 'float32', shape: ['batch'] } } : {}),
  }
  return staged(examples(source.name, ports, batches(source, options)), ports, allocate, together)
}

describe('batches by turns', () => {
  const data = numbered(100)
  const turns = (source: Dataset) =>
    inTurn(source, { batch: 32, seed: 1 }, bytes => new SharedArrayBuffer(bytes))

  test('are the batches, in the memory that was asked for', async () => {
    const plain = Array.from(batches(data, { batch: 32, seed: 1 }), b => {
      const { image, label, count } = arraysOf(b)
      return [[...image], [...label], count]
    })
    const shared: unknown[] = []
    for await (const b of turns(data)) {
      const { image, label, count } = arraysOf(b.arrays)
      expect([image.buffer, label.buffer].every(m => m instanceof SharedArrayBuffer)).toBe(true)
      expect([b.steps, b.sizes]).toEqual([1, { batch: count }])
      shared.push([[...image], [...label], count])
    }
    expect(shared).toEqual(plain)
  })

  test('stay as they are while the next is made, also where a data set always uses the same arrays', async () => {
    const { images, labels, shape, ...about } = data
    const own: BatchedDataset = { ...about, batches: options => batches(data, options) }
    for (const source of [data, own]) {
      const memory = new Set<ArrayBufferLike>()
      let before: { image: ArrayLike<number>; was: number[] } | undefined
      for await (const { arrays } of turns(source)) {
        const { image } = arraysOf(arrays)
        if (before) expect(Array.from(before.image)).toEqual(before.was)
        before = { image, was: [...image] }
        memory.add(image.buffer)
      }
      expect(memory.size).toBe(2)
    }
  })
})

test('batches that come together lie one after the other; what is left over, or of another size, comes singly', async () => {
  // Ten batches of 32 and one of 4, in fours.
  const data = numbered(324)
  const plain = Array.from(batches(data, { batch: 32 }), b => {
    const { image, label } = arraysOf(b)
    return { image: [...image], label: [...label] }
  })
  const sizes: number[][] = []
  let at = 0
  for await (const b of inTurn(data, { batch: 32 }, bytes => new ArrayBuffer(bytes), 4)) {
    const parts = plain.slice(at, at + b.steps)
    const [image, label] = [b.arrays.image!, b.arrays.label!]
    expect([...(image.data as Float32Array)]).toEqual(parts.flatMap(p => p.image))
    expect([...(label.data as Int32Array)]).toEqual(parts.flatMap(p => p.label))
    const count = b.sizes.batch as number
    const steps = b.steps > 1 ? [b.steps] : []
    expect([image.dims, label.dims]).toEqual([
      [...steps, count, 2, 1, 2],
      [...steps, count],
    ])
    sizes.push([b.steps, count])
    at += b.steps
  }
  expect(sizes).toEqual([
    [4, 32],
    [4, 32],
    [1, 32],
    [1, 32],
    [1, 4],
  ])
})

/** Images of 2 channels, 8 × 8, whose pixels are noise. */
function noisy(size: number): ImageDataset {
  const random = rng('noisy')
  const images = Uint8Array.from({ length: size * 128 }, () => random.int(256))
  const labels = Uint8Array.from({ length: size }, (_, i) => i % 7)
  return { name: 'noisy', size, shape: [2, 8, 8], classes: [...'0123456'], images, labels }
}

const ARRAYS = ['image', 'label', 'mixedLabel', 'mixedShare'] as const
const valuesOf = (b: Batch): (number[] | undefined)[] =>
  ARRAYS.map(name => b[name] && [...(b[name].data as Float32Array)])

describe('batches with augmentation', () => {
  const data = noisy(50)
  const whole = { shift: 0.1, rotate: 15, scale: 0.1, shear: 10, elastic: 1, erase: 0.3, flip: true }
  const list = (
    options: Parameters<typeof batches>[1],
    of: AugmentOptions = { ...whole, mixup: 0.4, cutmix: 1 },
  ) =>
    Array.from(batches(data, { ...options, augment: augmentation(of) }), b => {
      const [image, label, mixedLabel, mixedShare] = valuesOf(b)
      return { image: image!, label: label!, mixedLabel, mixedShare }
    })

  test('are the same for the same seed and epoch, and others for others', () => {
    const first = list({ batch: 16, seed: 1, epoch: 2, shuffle: false })
    expect(list({ batch: 16, seed: 1, epoch: 2, shuffle: false })).toEqual(first)
    expect(first[0]!.mixedShare).not.toEqual(first[1]!.mixedShare) // each batch has shares of its own
    expect(list({ batch: 16, seed: 2, epoch: 2, shuffle: false })[0]!.image).not.toEqual(first[0]!.image)
    expect(list({ batch: 16, seed: 1, epoch: 3, shuffle: false })[0]!.image).not.toEqual(first[0]!.image)
  })

  test('go on where an epoch was left', () => {
    const options = { batch: 16, seed: 1, epoch: 2 }
    expect(list({ ...options, skip: 2 })).toEqual(list(options).slice(2))
  })

  test('do the same to an image in whatever batch it comes', () => {
    const pixels = (batch: number, shuffle: boolean) => {
      const all = list({ batch, seed: 4, shuffle }, whole).flatMap(b => b.image)
      return Array.from({ length: 50 }, (_, i) => all.slice(i * 128, (i + 1) * 128).join())
    }
    expect(pixels(16, false)).toEqual(pixels(50, false))
    expect(pixels(16, true).toSorted()).toEqual(pixels(7, false).toSorted())
  })

  test('do not disturb each other when they are made by turns', () => {
    const augment = augmentation({ ...whole, mixup: 0.4 })
    const [one, two] = [1, 2].map(epoch => batches(data, { batch: 16, epoch, augment })[Symbol.iterator]())
    const own = list({ batch: 16, epoch: 1 }, { ...whole, mixup: 0.4 })
    for (const { image } of own) {
      expect([...arraysOf(one!.next().value as Batch).image]).toEqual(image)
      two!.next()
    }
  })

  test('are for images only', () => {
    const { images, labels, ...about } = data
    const own = { ...about, batches: () => [] }
    expect(() => batches(own, { batch: 2, augment: augmentation({ shift: 0.1 }) })).toThrow(
      new UserError('noisy does not hold images, and only images can be augmented: remove augment'),
    )
  })
})

test('mixtures keep their second class and their shares when batches come by turns, singly or together', async () => {
  const options = { batch: 16, augment: augmentation({ mixup: 0.4 }) }
  // Three batches of 16 and one of 2.
  const plain = Array.from(batches(noisy(50), options), valuesOf)
  for (const together of [1, 2, 3, 5]) {
    let at = 0
    let before: { arrays: ArrayLike<number>[]; was: number[][] } | undefined
    const turns = inTurn(noisy(50), options, bytes => new SharedArrayBuffer(bytes), together)
    for await (const b of turns) {
      const parts = plain.slice(at, at + b.steps)
      const now = ARRAYS.map(name => b.arrays[name]!.data as Float32Array)
      const was = now.map(values => [...values])
      expect(was).toEqual(now.map((_, i) => parts.flatMap(p => p[i]!)))
      expect(now.every(values => values.buffer instanceof SharedArrayBuffer)).toBe(true)
      if (before) expect(before.arrays.map(values => Array.from(values))).toEqual(before.was)
      before = { arrays: now, was }
      at += b.steps
    }
    expect(at).toBe(4)
  }
})

describe('work ahead', () => {
  const log: string[] = []
  const items = function* () {
    for (const i of [1, 2, 3]) {
      log.push(`make ${i}`)
      yield i
    }
  }
  const work = async (i: number) => {
    log.push(`begin ${i}`)
    await new Promise(setImmediate)
    log.push(`end ${i}`)
    if (i === 3) throw new Error('three')
    return 10 * i
  }

  test('makes an item while the one before is worked on, and gives results in order', async () => {
    log.length = 0
    const got: unknown[] = []
    await expect(
      (async () => {
        for await (const both of prefetch(items(), work)) got.push(both)
      })(),
    ).rejects.toThrow('three')
    expect(got).toEqual([
      [1, 10],
      [2, 20],
    ])
    expect(log.slice(0, 5)).toEqual(['make 1', 'begin 1', 'make 2', 'begin 2', 'end 1'])
    expect(log.indexOf('make 3')).toBeGreaterThan(log.indexOf('end 1'))
  })

  test('to a depth of one makes each item after the work before it', async () => {
    log.length = 0
    for await (const [i] of prefetch(items(), work, 1)) if (i === 2) break
    expect(log).toEqual(['make 1', 'begin 1', 'end 1', 'make 2', 'begin 2', 'end 2'])
  })
})

test('a shuffle puts every item into every place equally often', () => {
  const rounds = 6000
  const counts = new Map<string, number>()
  for (let epoch = 0; epoch < rounds; epoch++) {
    const key = permutation(3, 0, epoch).join('')
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  expect(counts.size).toBe(6)
  const chi2 = [...counts.values()].reduce((sum, n) => sum + (n - rounds / 6) ** 2 / (rounds / 6), 0)
  expect(chi2).toBeLessThan(20.5) // the 0.1 % point for 5 degrees of freedom
})

test('a subset is the first images, and cannot be larger than the whole', () => {
  const whole = numbered(10)
  const part = subset(whole, 3)
  expect([part.size, part.images.length, [...part.labels]]).toEqual([3, 12, [0, 1, 2]])
  expect(() => subset(whole, 11)).toThrow('numbered: cannot take the first 11 of 10 images')
})

test('statistics are per channel, of pixels scaled to [0, 1]', () => {
  const images = Uint8Array.from([0, 255, 51, 51, 255, 0, 51, 51])
  const dataset: ImageDataset = { ...numbered(2), images }
  // Channel 0 is half 0 and half 1, channel 1 is 0.2 throughout.
  expect(statistics(dataset)).toEqual({ mean: [0.5, 0.2], std: [0.5, 1] })
})
