import { sizeOfDims } from '../graph/array.ts'
import { attr } from '../graph/attributes.ts'
import { ShapeError } from '../graph/errors.ts'
import { constant } from '../graph/leaf.ts'
import { fileOp } from '../graph/op.ts'
import { nth } from '../graph/present.ts'
import { f32, sample } from '../graph/sample.ts'
import { type Dim, type Shape, show, unify } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { scatterAdd } from './gather.ts'
import { vjp } from './grad.ts'
import { expand, reshape, slice } from './layout.ts'

type Col2ImAttrs = {
  readonly image: readonly number[]
  readonly block: readonly number[]
  readonly dilations: readonly number[]
  readonly pads: readonly number[]
  readonly strides: readonly number[]
}

/** Sizes of the image with its padding, and how many places the block has along each axis. */
function sizesOf({ image, block, dilations, pads, strides }: Col2ImAttrs) {
  const padded = image.map((d, i) => d + nth(pads, i) + nth(pads, i + image.length))
  const places = padded.map((d, i) => {
    const room = d - nth(dilations, i) * (nth(block, i) - 1) - 1
    return Math.floor(room / nth(strides, i)) + 1
  })
  return { padded, places }
}

function checkLists({ image, block, dilations, pads, strides }: Col2ImAttrs): void {
  const axes = image.length
  const positive = [image, block, dilations, strides]
  if (positive.some(list => list.length !== axes || list.some(v => v < 1)) || pads.length !== 2 * axes)
    throw new ShapeError(
      `col2im: image [${image.join()}], block [${block.join()}], dilations [${dilations.join()}] and strides [${strides.join()}] must have a number of at least 1 for each axis, and pads [${pads.join()}] two`,
    )
}

function inferred(x: Shape, attrs: Col2ImAttrs): Shape {
  const { image, block } = attrs
  checkLists(attrs)
  const { places } = sizesOf(attrs)
  const elements = sizeOfDims(block)
  const [n, channels, count] = x
  const depth = typeof channels === 'number' ? channels / elements : Number.NaN
  if (n === undefined || !Number.isInteger(depth) || unify(count ?? 0, sizeOfDims(places)) === undefined)
    throw new ShapeError(
      `col2im: ${show(x)} must be [n, channels * ${elements}, ${sizeOfDims(places)}] for blocks [${block.join()}] of an image [${image.join()}]`,
    )
  return [n, depth, ...image]
}

/** Where each element of each block stands in the padded image. */
function table(attrs: Col2ImAttrs): AnyTensor {
  const { block, dilations, strides } = attrs
  const { padded, places } = sizesOf(attrs)
  const [elements, count] = [sizeOfDims(block), sizeOfDims(places)]
  const rest = (dims: readonly number[], i: number) => sizeOfDims(dims.slice(i + 1))
  const at = (k: number) =>
    padded.reduce((sum, size, i) => {
      const inBlock = Math.floor(Math.floor(k / count) / rest(block, i)) % nth(block, i)
      const place = Math.floor((k % count) / rest(places, i)) % nth(places, i)
      return sum * size + place * nth(strides, i) + inBlock * nth(dilations, i)
    }, 0)
  return constant(
    Array.from({ length: elements * count }, (_, k) => at(k)),
    'int64',
    [1, 1, elements * count],
  )
}

/** Blocks added where they stand. */
function plain(x: AnyTensor, attrs: Col2ImAttrs): AnyTensor {
  const [n = 1, channels = 1]: Shape = inferred(x.shape, attrs)
  const { padded } = sizesOf(attrs)
  const places = table(attrs)
  const flat: readonly Dim[] = [n, channels, nth<number>(places.shape, 2)]
  const added = scatterAdd([n, channels, sizeOfDims(padded)], expand(places, flat), reshape(x, flat), 2)
  return attrs.image.reduce<AnyTensor>(
    (y, size, i): AnyTensor => slice(y, i + 2, nth(attrs.pads, i), nth(attrs.pads, i) + size),
    reshape(added, [n, channels, ...padded]),
  )
}

const ones = (_: number): number => 1
const axes = (block: unknown): number[] => [block].flat().map(Number)

const Col2Im = fileOp('Col2Im', {
  since: 18,
  inputs: ['input'],
  outputs: ['output'],
  attrs: {
    image: attr.ints({ name: 'image_shape', input: 1 }),
    block: attr.ints({ name: 'block_shape', input: 2 }),
    dilations: attr.ints({ default: ({ attrs }) => axes(attrs.block).map(ones) }),
    pads: attr.ints({ default: ({ attrs }) => axes(attrs.block).flatMap(() => [0, 0]) }),
    strides: attr.ints({ default: ({ attrs }) => axes(attrs.block).map(ones) }),
  },
  infer: ([x], attrs) => [{ dtype: x.dtype, shape: inferred(x.shape, attrs) }],
  lacks: ({ dtype }) => dtype !== 'float32',
  decompose: ([x], attrs) => [plain(x, attrs)],
  // that of blocks added by their places
  vjp: ({ x: [x], dy, attrs }) => vjp(plain(x, attrs), dy, [x]),
  samples: [
    sample(f32(2, 8, 6), {
      image: [3, 4],
      block: [2, 2],
      dilations: [1, 1],
      pads: [0, 0, 0, 0],
      strides: [1, 1],
    }),
    sample(f32(1, 12, 4), {
      image: [4, 5],
      block: [2, 3],
      dilations: [2, 1],
      pads: [1, 0, 0, 1],
      strides: [2, 3],
    }),
  ],
})
/** Blocks, `[n, c Π block, places]`, added where they stand in an image, `[n, c, ...image]`. */
export const col2im = (x: AnyTensor, attrs: Col2ImAttrs): AnyTensor => Col2Im.apply([x], attrs)
