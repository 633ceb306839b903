import { describe, expect, test } from 'vitest'
import { prepare } from '../../lab/src/try/drawing.ts'
import { idxPreprocessing } from '../../src/data/idx.ts'
import {
  grayscale,
  type ImageShape,
  imageShape,
  isPreprocessing,
  MNIST_DIGIT,
  type Preprocessing,
  preprocess,
  preprocessingOf,
  presumedPreprocessing,
  RESIZE,
} from '../../src/data/preprocess.ts'
import { type Pixels, resample } from '../../src/data/resample.ts'
import { realDigits } from './files.ts'
import { patterned } from './pictures.ts'

const STRETCH: Preprocessing = { kind: 'stretch' }
const bytes = (picture: Pixels, how: Preprocessing, shape: ImageShape) => [
  ...preprocess(picture, how, shape).image,
]
const filled = (value: number, side = 40): Pixels => ({
  data: new Uint8Array(side * side).fill(value),
  width: side,
  height: side,
  channels: 1,
})

describe('resize', () => {
  test('gives the bytes of torchvision’s Resize, CenterCrop and Grayscale on PIL images', () => {
    expect(bytes(patterned(9, 6, 3), RESIZE, [1, 4, 4])).toEqual([
      134, 134, 148, 111, 124, 122, 140, 123, 141, 147, 135, 134, 118, 131, 126, 147,
    ])
    // 4 × 9.6, of which the longer side is cut off: 4 × 9; 2.5 rows above the middle are rounded to 2.
    expect(bytes(patterned(5, 12, 1), RESIZE, [1, 4, 4])).toEqual([
      84, 122, 133, 190, 124, 149, 131, 141, 104, 96, 109, 144, 124, 137, 101, 153,
    ])
    const planes = [
      [46, 65, 46, 65],
      [99, 118, 99, 118],
      [152, 171, 152, 171],
    ]
    expect(bytes(patterned(4, 1, 3), RESIZE, [3, 2, 2])).toEqual(planes.flat())
  })

  test('makes gray by ITU-R 601 luma, as Pillow’s convert("L")', () => {
    expect([...grayscale(patterned(4, 4, 3)).data]).toEqual([
      43, 80, 117, 154, 134, 178, 193, 87, 196, 97, 71, 122, 60, 118, 176, 205,
    ])
  })

  test('keeps polarity, and pictures of one colour', () => {
    for (const value of [0, 3, 128, 255])
      expect(new Set(bytes(filled(value), RESIZE, [1, 28, 28]))).toEqual(new Set([value]))
    const dark = patterned(28, 28, 1)
    const light = { ...dark, data: dark.data.map(v => 255 - v) }
    expect(bytes(dark, RESIZE, [1, 28, 28])).toEqual([...dark.data])
    expect(bytes(light, RESIZE, [1, 28, 28])).toEqual([...light.data])
  })

  test('gives a gray picture to three channels, and covers a frame that is no square', () => {
    const gray = patterned(8, 8, 1)
    const { data } = gray
    expect(bytes(gray, RESIZE, [3, 8, 8])).toEqual([...data, ...data, ...data])
    // Twice as wide as high: the middle rows.
    const middle = resample(gray, gray, { left: 0, top: 2, width: 8, height: 4 })
    expect(bytes(gray, RESIZE, [1, 4, 8])).toEqual([...middle.data])
  })
})

test('stretch brings height and width to those of the model, each by itself', () => {
  const picture = patterned(20, 10, 3)
  const { data } = resample(picture, { width: 4, height: 4 })
  const planes = [0, 1, 2].flatMap(c => Array.from({ length: 16 }, (_, i) => data[3 * i + c]!))
  expect(bytes(picture, STRETCH, [3, 4, 4])).toEqual(planes)
})

describe('digit', async () => {
  const { images, labels } = (await realDigits()).test
  const digitAt = (i: number): Pixels => ({
    data: images.subarray(i * 784, (i + 1) * 784),
    width: 28,
    height: 28,
    channels: 1,
  })
  const COUNT = 300
  const centred = (picture: Pixels) => preprocess(picture, MNIST_DIGIT, [1, 28, 28])
  const apart = (a: Uint8Array, b: Uint8Array) => a.reduce((sum, v, i) => sum + Math.abs(v - b[i]!), 0) / 784
  /** Each pixel `times` as large, on a larger ground. */
  const enlarged = ({ data, width, height }: Pixels, times: number, left: number, top: number): Pixels => {
    const [w, h] = [width * times + left, height * times + top]
    const large = new Uint8Array(w * h)
    for (let y = top; y < h; y++)
      for (let x = left; x < w; x++)
        large[y * w + x] = data[Math.floor((y - top) / times) * width + Math.floor((x - left) / times)]!
    return { data: large, width: w, height: h, channels: 1 }
  }
  const inverse = (picture: Pixels): Pixels => ({ ...picture, data: picture.data.map(v => 255 - v) })
  const some = Array.from({ length: COUNT }, (_, i) => digitAt(i))

  test('of MNIST comes back as it is', () => {
    const same = some.filter(digit => apart(centred(digit).image, digit.data) < 0.5)
    // Of the others the centre of mass is half way between two pixels, or ink was cut off.
    expect(same.length).toBeGreaterThan(0.97 * COUNT)
    expect(new Set(labels.subarray(0, COUNT)).size).toBe(10)
  })

  test('is the same whatever its size, place and ink', () => {
    for (const digit of some.slice(0, 60)) {
      const want = centred(digit)
      for (const [times, left, top] of [
        [1, 5, 9],
        [3, 0, 20],
        [10, 130, 70],
      ] as const) {
        const drawing = enlarged(digit, times, left, top)
        expect(apart(centred(drawing).image, want.image)).toBeLessThan(0.01)
        const dark = centred(inverse(drawing))
        expect(dark.inverted).toBe(true)
        expect(apart(dark.image, want.image)).toBeLessThan(0.01)
      }
      expect(want.inverted).toBe(false)
    }
  })

  test('takes the data set’s ink where the border does not say clearly which it is', () => {
    // A light stroke on dark, of which a light band takes half of the border.
    const data = new Uint8Array(28 * 28).map((_, i) => (i % 28 < 14 ? 230 : i % 28 === 20 ? 200 : 20))
    const drawing: Pixels = { data, width: 28, height: 28, channels: 1 }
    const as = (ink: 'light' | 'dark') => preprocess(drawing, { kind: 'digit', ink }, [1, 28, 28])
    expect([as('light').inverted, as('dark').inverted]).toEqual([false, true])
  })

  test('of a blank drawing is its ground, and said to be blank', () => {
    for (const value of [0, 120, 255]) {
      const { image, blank } = centred(filled(value))
      expect([blank, image.every(v => v === 0)]).toEqual([true, true])
    }
    expect(centred(digitAt(0)).blank).toBe(false)
    expect(preprocess(filled(9), RESIZE, [1, 28, 28]).blank).toBe(false)
  })

  test('fills as much of a frame of another size', () => {
    const { image } = preprocess(digitAt(0), MNIST_DIGIT, [1, 56, 56])
    const rows = Array.from({ length: 56 }, (_, y) => image.subarray(y * 56, (y + 1) * 56).some(v => v > 0))
    expect(rows.filter(Boolean).length).toBe(40)
  })
})

describe('what is drawn on the lab’s board', async () => {
  const { images } = (await realDigits()).test
  const board: Pixels & { channels: 1 } = {
    data: new Uint8Array(280 * 280),
    width: 280,
    height: 280,
    channels: 1,
  }
  // A digit a third as large as the board, in a corner.
  for (let y = 0; y < 84; y++)
    for (let x = 0; x < 84; x++)
      board.data[(y + 10) * 280 + x + 20] = images[Math.floor(y / 3) * 28 + Math.floor(x / 3)]!
  const seen = (preprocessing: Preprocessing) =>
    prepare(board, { input: [1, 28, 28], preprocessing })?.map(v => Math.round(255 * v))

  test('is prepared as the model’s own pictures are', () => {
    expect([...seen(MNIST_DIGIT)!]).toEqual([...images.subarray(0, 784)])
    expect([...seen(RESIZE)!]).toEqual(bytes(board, RESIZE, [1, 28, 28]))
    expect([...seen(RESIZE)!]).not.toEqual([...seen(MNIST_DIGIT)!])
  })

  test('is nothing while there is no ink', () => {
    const empty = { ...board, data: new Uint8Array(280 * 280) }
    expect(prepare(empty, { input: [1, 28, 28], preprocessing: RESIZE })).toBeUndefined()
  })
})

describe('how pictures are prepared', async () => {
  const { train, preprocessing } = await realDigits()

  test('is by MNIST’s way for its digits, and as they are for other IDX files', () => {
    expect(preprocessing).toEqual(MNIST_DIGIT)
    expect(idxPreprocessing(train)).toEqual(MNIST_DIGIT)
    expect(idxPreprocessing({ ...train, classes: [...'abcdefghij'] })).toEqual(RESIZE)
    const inverse = { ...train, images: train.images.map(v => 255 - v) }
    expect(idxPreprocessing(inverse)).toEqual(RESIZE)
  })

  test('is presumed of files that do not say it', () => {
    const digits = [...'0123456789']
    expect(presumedPreprocessing([1, 28, 28], digits)).toEqual(MNIST_DIGIT)
    for (const [shape, classes] of [
      [[1, 32, 32], digits],
      [[3, 28, 28], digits],
      [
        [1, 28, 28],
        ['left', 'right'],
      ],
      [[1, 28, 28], undefined],
    ] as const)
      expect(presumedPreprocessing(shape, classes)).toEqual(RESIZE)
  })

  test('is what a file says, if this release knows it', () => {
    const of = (preprocessing?: { kind: string; ink?: string }, classes = [...'0123456789']) =>
      preprocessingOf({ classes, ...(preprocessing ? { preprocessing } : {}) }, [1, 28, 28], 'x.onnx')
    expect(of({ kind: 'resize' })).toEqual(RESIZE)
    expect(of({ kind: 'digit', ink: 'dark' })).toEqual({ kind: 'digit', ink: 'dark' })
    expect(of()).toEqual(MNIST_DIGIT)
    expect(of(undefined, ['cat', 'dog'])).toEqual(RESIZE)
    for (const unknown of [{ kind: 'letterbox' }, { kind: 'digit', ink: 'blue' }])
      expect(() => of(unknown)).toThrow(
        `x.onnx: its preprocessing is ${JSON.stringify(unknown)}, which this release does not support`,
      )
  })

  test('is checked where it comes from a file', () => {
    for (const sound of [RESIZE, STRETCH, MNIST_DIGIT, { kind: 'digit', ink: 'dark' }])
      expect(isPreprocessing(sound)).toBe(true)
    for (const damaged of [
      null,
      'resize',
      {},
      { kind: 'crop' },
      { kind: 'digit' },
      { kind: 'digit', ink: 1 },
    ])
      expect(isPreprocessing(damaged)).toBe(false)
  })
})

test('a model that takes no pictures is refused', () => {
  expect(imageShape([3, 4, 5], 'it')).toEqual([3, 4, 5])
  expect(() => imageShape([2, 8, 8], 'a.png')).toThrow(
    'a.png: a picture has 1 or 3 channels, but this model takes 2',
  )
})
