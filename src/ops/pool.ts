import { sizeOfDims } from '../graph/array.ts'
import { attr } from '../graph/attributes.ts'
import { isConcrete } from '../graph/bind.ts'
import { ShapeError, UserError } from '../graph/errors.ts'
import {
  images,
  type Pair,
  pool,
  type WindowAttrs,
  type WindowOptions,
  windowAttrs,
} from '../graph/images.ts'
import { constant } from '../graph/leaf.ts'
import { op } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import { product, type Shape, show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import type { GlobalPoolFn, PoolFn } from '../graph/typed/image-signatures.ts'
import { typed } from '../graph/typed/signatures.ts'
import { add, cast } from './elementwise.ts'
import { argmax, gather, scatterAdd } from './gather.ts'
import { vjp } from './grad.ts'
import { reshape } from './layout.ts'
import { max, mean } from './reduce.ts'
import { twoAxes, WINDOW_FORMS, windows } from './window.ts'

const attrsOfSamples: readonly WindowAttrs[] = [
  { kernel_shape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0], dilations: [1, 1] },
  { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1], dilations: [1, 1] },
]
const x = f32(2, 3, 7, 8).distinct()

/** Average pooling as a mean over all windows: the reference for the operator, and the form that is differentiated. */
const meanPlain = (x: AnyTensor, attrs: WindowAttrs): AnyTensor => mean(windows('avgPool2d', x, attrs), 2)

/** Max pooling as a maximum over all windows. */
const maxPlain = (x: AnyTensor, attrs: WindowAttrs): AnyTensor =>
  max(windows('maxPool2d', x, attrs, Number.NEGATIVE_INFINITY), 2)

/** Where the first maximum of each window stands in the elements of `x`, as MaxPool's second output. */
function maxPlaces(x: AnyTensor, attrs: WindowAttrs): AnyTensor {
  const shape: Shape = x.shape
  const [batch = 0, channels = 0, height = 0, width = 0] = isConcrete(shape) ? shape : []
  if (!isConcrete(shape))
    throw new ShapeError(`maxPool2d: the dims of ${show(shape)} must be known for a gradient on this target`)
  const [down, right] = attrs.strides
  const [top, left] = attrs.pads
  const [rowStep, columnStep] = attrs.dilations
  const columns = attrs.kernel_shape[1]
  const seen = windows('maxPool2d', x, attrs, Number.NEGATIVE_INFINITY)
  const [, , size, rows, across] = seen.shape
  // Where the image begins, its window (in the padding, perhaps), and the element of the window.
  const image = table([batch, channels, 1, 1], i => i * height * width)
  const corner = table([rows, across], i => {
    const [row, column] = [Math.floor(i / across), i % across]
    return (row * down - top) * width + column * right - left
  })
  const within = table([size], i => Math.floor(i / columns) * rowStep * width + (i % columns) * columnStep)
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
    // Whether there is a second output: where each maximum stands in the elements of `x`.
    indices: attr.internal<boolean>({ default: ({ outputs }) => outputs > 1 }),
  },
  neutral: { auto_pad: 'NOTSET', ceil_mode: 0, storage_order: 0 },
  check: twoAxes,
  infer: ([x], attrs) => {
    const shape = pool('maxPool2d', x.shape, attrs)
    const values = { dtype: x.dtype, shape }
    return attrs.indices ? [values, { dtype: 'int64', shape }] : [values]
  },
  vjp: ({ x: [x], dy, attrs }) => [maxGradient(x, dy, attrs)],
  samples: attrsOfSamples.flatMap(attrs => [
    sample(x, { ...attrs, indices: false }),
    sample(x, { ...attrs, dilations: [2, 1] as const, indices: true }),
  ]),
  decompose: ([x], attrs) =>
    attrs.indices ? [maxPlain(x, attrs), maxPlaces(x, attrs)] : [maxPlain(x, attrs)],
})

/** `dy` added into zeros where the first maximum of each window stands. */
function maxGradient(x: AnyTensor, dy: AnyTensor, attrs: WindowAttrs): AnyTensor {
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
    return MaxPool.apply([x], { ...attrs, indices: false })
  },
  t => [t(1, 2, 4, 4), 2],
)

const { dilations: _, ...averageForms } = WINDOW_FORMS // which came to AveragePool with opset 19

const AveragePool = op('AveragePool', {
  inputs: ['X'],
  attrs: {
    ...averageForms,
    dilations: attr.internal<readonly [number, number]>({ default: [1, 1] }),
    count_include_pad: attr.int({ default: 1 }),
  },
  neutral: { auto_pad: 'NOTSET', ceil_mode: 0, dilations: [1, 1] },
  check: node => {
    twoAxes(node)
    if (!node.attrs.count_include_pad && [node.attrs.pads].flat().some(Boolean))
      throw new UserError('padding that is excluded from the mean is not supported')
  },
  infer: ([x], attrs) => [{ dtype: x.dtype, shape: pool('avgPool2d', x.shape, attrs) }],
  // that of the mean over windows
  vjp: ({ x: [x], dy, attrs }) => vjp(meanPlain(x, attrs), dy, [x]),
  samples: attrsOfSamples.map(attrs => sample(x, { ...attrs, count_include_pad: 1 })),
  decompose: ([x], attrs) => [meanPlain(x, attrs)],
})
/** Mean of each window, where padding counts as zeros; the stride is the kernel where none is given. */
export const avgPool2d: PoolFn<'avgPool2d', 'stride' | 'padding'> = typed(
  (x: AnyTensor, kernel: Pair, options: Omit<WindowOptions, 'dilation'> = {}): AnyTensor => {
    images('avgPool2d', x.shape)
    const attrs = windowAttrs('avgPool2d', kernel, { ...options, stride: options.stride ?? kernel })
    return AveragePool.apply([x], { ...attrs, count_include_pad: 1 })
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
