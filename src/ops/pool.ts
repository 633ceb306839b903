import { sizeOfDims } from '../graph/array.ts'
import { attr } from '../graph/attributes.ts'
import { isConcrete } from '../graph/bind.ts'
import { ShapeError } from '../graph/errors.ts'
import {
  images,
  type Pair,
  pool,
  type WindowAttrs,
  type WindowOptions,
  windowAttrs,
  windowName,
} from '../graph/images.ts'
import { constant } from '../graph/leaf.ts'
import { op } from '../graph/op.ts'
import { nth } from '../graph/present.ts'
import { f32, sample } from '../graph/sample.ts'
import { product, type Shape, show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import type { GlobalPoolFn, PoolFn } from '../graph/typed/image-signatures.ts'
import { typed } from '../graph/typed/signatures.ts'
import { add, cast, div } from './elementwise.ts'
import { argmax, gather, scatterAdd } from './gather.ts'
import { vjp } from './grad.ts'
import { reshape } from './layout.ts'
import { max, mean, sum } from './reduce.ts'
import { CEIL_MODE, dot, indicesOf, placesOf, seenCounts, WINDOW_FORMS, windows } from './window.ts'

type PoolAttrs = WindowAttrs & { readonly ceil_mode: number | undefined }
type AverageAttrs = Omit<PoolAttrs, 'dilations'> & {
  readonly dilations: readonly number[] | undefined
  readonly count_include_pad: number
}

const twoAxes: readonly PoolAttrs[] = [
  { kernel_shape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0], dilations: [1, 1], ceil_mode: undefined },
  { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1], dilations: [1, 1], ceil_mode: undefined },
]
const oneAxis: PoolAttrs = {
  kernel_shape: [3],
  strides: [2],
  pads: [1, 1],
  dilations: [1],
  ceil_mode: 1,
}
const threeAxes: PoolAttrs = {
  kernel_shape: [2, 1, 3],
  strides: [1, 2, 2],
  pads: [1, 0, 1, 0, 0, 1],
  dilations: [1, 1, 2],
  ceil_mode: 1,
}
const x = f32(2, 3, 7, 8).distinct()
const line = f32(2, 2, 8).distinct()
const volume = f32(1, 2, 3, 5, 6).distinct()

/** onnxruntime pools over no more. */
const MOST_AXES = 3

/** Max pooling as a maximum over all windows. */
const maxPlain = (x: AnyTensor, attrs: WindowAttrs): AnyTensor =>
  max(windows(windowName('maxPool', attrs.kernel_shape), x, attrs, Number.NEGATIVE_INFINITY), 2)

/** Where the first maximum of each window stands in the elements of `x`, as MaxPool's second output. */
function maxPlaces(x: AnyTensor, attrs: WindowAttrs): AnyTensor {
  const name = windowName('maxPool', attrs.kernel_shape)
  const shape: Shape = x.shape
  const [batch = 0, channels = 0, ...sizes] = isConcrete(shape) ? shape : []
  if (!isConcrete(shape))
    throw new ShapeError(`${name}: the dims of ${show(shape)} must be known for a gradient on this target`)
  // How far elements next to each other along an axis stand apart.
  const steps = sizes.map((_, i) => sizeOfDims(sizes.slice(i + 1)))
  const { kernel_shape, strides, dilations, pads } = attrs
  const seen = windows(name, x, attrs, Number.NEGATIVE_INFINITY)
  const places = placesOf(name, x, attrs)
  // Where the image begins, its window (in the padding, perhaps), and the element of the window.
  const image = table([batch, channels, ...sizes.map(() => 1)], i => i * sizeOfDims(sizes))
  const corner = table(places, i =>
    dot(
      indicesOf(i, places).map((at, axis) => at * nth(strides, axis) - nth(pads, axis)),
      steps,
    ),
  )
  const within = table([sizeOfDims(kernel_shape)], i =>
    dot(
      indicesOf(i, kernel_shape).map((at, axis) => at * nth(dilations, axis)),
      steps,
    ),
  )
  return cast(add(add(image, corner), gather(within, argmax(seen, 2))), 'int64')
}

const table = (shape: readonly number[], at: (i: number) => number): AnyTensor =>
  constant(
    Array.from({ length: sizeOfDims(shape) }, (_, i) => at(i)),
    'int32',
    shape,
  )

const MaxPool = op('MaxPool', {
  inputs: ['X'],
  outputs: ['Y', 'Indices?'],
  attrs: {
    ...WINDOW_FORMS,
    ...CEIL_MODE,
    // Whether there is a second output: where each maximum stands in the elements of `x`.
    indices: attr.internal<boolean>(),
  },
  infer: ([x], attrs) => {
    const shape = pool(windowName('maxPool', attrs.kernel_shape), x.shape, attrs)
    const values = { dtype: x.dtype, shape }
    return attrs.indices ? [values, { dtype: 'int64', shape }] : [values]
  },
  vjp: ({ x: [x], dy, attrs }) => [maxGradient(x, dy, attrs)],
  samples: [
    ...twoAxes.flatMap(attrs => [
      sample(x, { ...attrs, indices: false }),
      sample(x, { ...attrs, dilations: [2, 1], indices: true }),
    ]),
    sample(line, { ...oneAxis, indices: true }),
    sample(volume, { ...threeAxes, indices: true }),
  ],
  lacks: ({ attrs: { kernel_shape } }) => kernel_shape.length > MOST_AXES,
  decompose: ([x], attrs) =>
    attrs.indices ? [maxPlain(x, attrs), maxPlaces(x, attrs)] : [maxPlain(x, attrs)],
})

/** `dy` added into zeros where the first maximum of each window stands. */
function maxGradient(x: AnyTensor, dy: AnyTensor, attrs: PoolAttrs): AnyTensor {
  const [, indices = dy] = MaxPool.applyAll([x], { ...attrs, indices: true })
  const flat = (t: AnyTensor): AnyTensor => reshape(t, [product(t.shape)])
  return reshape(scatterAdd([product(x.shape)], flat(indices), flat(dy), 0), x.shape)
}

/**
 * Largest element of each window; the stride is the kernel where none is given. `[n, c, h, w]` → `[n, c, h', w']`.
 * At a tie the first element gets the gradient, as in PyTorch.
 */
export const maxPool2d: PoolFn<'maxPool2d'> = typed(
  (x: AnyTensor, kernel: Pair, options: WindowOptions = {}): AnyTensor => {
    images('maxPool2d', x.shape)
    const attrs = windowAttrs('maxPool2d', kernel, { ...options, stride: options.stride ?? kernel })
    return MaxPool.apply([x], { ...attrs, ceil_mode: undefined, indices: false })
  },
  t => [t(1, 2, 4, 4), 2],
)

const { dilations: _, ...averageForms } = WINDOW_FORMS

/**
 * Average pooling as a mean over all windows: the reference for the operator, and the form that is differentiated. Where windows
 * see more or less of what counts, as their sum divided by a table.
 */
function meanPlain(x: AnyTensor, { dilations, ...attrs }: AverageAttrs): AnyTensor {
  const window = { ...attrs, dilations: dilations ?? attrs.kernel_shape.map(() => 1) }
  const name = windowName('avgPool', attrs.kernel_shape)
  const seen = windows(name, x, window)
  const padding = attrs.count_include_pad !== 0
  if (!attrs.ceil_mode && (padding || !attrs.pads.some(Boolean))) return mean(seen, 2)
  const counts = constant(seenCounts(name, x, window, padding), x.dtype, placesOf(name, x, window))
  return div(sum(seen, 2), counts)
}

const AveragePool = op('AveragePool', {
  inputs: ['X'],
  attrs: {
    ...averageForms,
    ...CEIL_MODE,
    // Only given where they are not 1.
    dilations: attr.ints<readonly number[] | undefined>({ optional: true }),
    count_include_pad: attr.int(),
  },
  needs: ({ dilations }) => (dilations ? 19 : 0),
  infer: ([x], { dilations, ...attrs }) => {
    const window = { ...attrs, dilations: dilations ?? attrs.kernel_shape.map(() => 1) }
    return [{ dtype: x.dtype, shape: pool(windowName('avgPool', attrs.kernel_shape), x.shape, window) }]
  },
  // that of the mean over windows
  vjp: ({ x: [x], dy, attrs }) => vjp(meanPlain(x, attrs), dy, [x]),
  samples: [
    ...twoAxes.flatMap(attrs => [
      sample(x, { ...attrs, dilations: undefined, count_include_pad: 1 }),
      sample(x, { ...attrs, dilations: undefined, count_include_pad: 0 }),
    ]),
    sample(line, { ...oneAxis, dilations: undefined, count_include_pad: 0 }),
    sample(volume, { ...threeAxes, dilations: undefined, count_include_pad: 1 }),
  ],
  lacks: ({ attrs: { kernel_shape } }) => kernel_shape.length > MOST_AXES,
  decompose: ([x], attrs) => [meanPlain(x, attrs)],
})
/** Mean of each window, where padding counts as zeros; the stride is the kernel where none is given. */
export const avgPool2d: PoolFn<'avgPool2d', 'stride' | 'padding'> = typed(
  (x: AnyTensor, kernel: Pair, options: Omit<WindowOptions, 'dilation'> = {}): AnyTensor => {
    images('avgPool2d', x.shape)
    const attrs = windowAttrs('avgPool2d', kernel, { ...options, stride: options.stride ?? kernel })
    return AveragePool.apply([x], {
      ...attrs,
      dilations: undefined,
      ceil_mode: undefined,
      count_include_pad: 1,
    })
  },
  t => [t(1, 2, 4, 4), 2],
)

/** Largest element of each channel, `[n, c, h, w]` → `[n, c]`; a tie shares the gradient evenly, as torch.amax does. */
export const globalMaxPool2d: GlobalPoolFn<'globalMaxPool2d'> = typed(
  (x: AnyTensor): AnyTensor => {
    images('globalMaxPool2d', x.shape)
    return max(x, [2, 3])
  },
  t => [t(1, 2, 4, 4)],
)

/** Mean of each channel, `[n, c, h, w]` → `[n, c]`. */
export const globalAvgPool2d: GlobalPoolFn<'globalAvgPool2d'> = typed(
  (x: AnyTensor): AnyTensor => {
    images('globalAvgPool2d', x.shape)
    return mean(x, [2, 3])
  },
  t => [t(1, 2, 4, 4)],
)

/** Primitives that importing applies. `ops` has functions alone: `export *` leaves this out. */
export default { AveragePool, MaxPool }
