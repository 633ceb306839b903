import { isConcrete } from '../graph/bind.ts'
import { ShapeError } from '../graph/errors.ts'
import {
  images,
  type Pair,
  pool,
  type WindowAttrs,
  type WindowOptions,
  windowAttrs,
} from '../graph/images.ts'
import { constant } from '../graph/leaf.ts'
import { type Op, op } from '../graph/node.ts'
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
import { WINDOW_FORMS, windows } from './window.ts'

const samples = [
  { kernel_shape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0], dilations: [1, 1] },
  { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1], dilations: [1, 1] },
].map(attrs => sample(f32(2, 3, 7, 8).distinct(), attrs))

/** Average pooling as a mean over all windows: what the operator is held against, and what is differentiated. */
const meanPlain = (x: AnyTensor, attrs: WindowAttrs): AnyTensor => mean(windows('avgPool2d', x, attrs), 2)

/** Max pooling as a maximum over all windows. */
const maxPlain = (x: AnyTensor, attrs: WindowAttrs): AnyTensor =>
  max(windows('maxPool2d', x, attrs, Number.NEGATIVE_INFINITY), 2)

/** Where the first maximum of each window stands in the elements of `x`, as MaxPool's second output. */
function maxPlaces(x: AnyTensor, attrs: WindowAttrs): AnyTensor {
  const shape: Shape = x.shape
  if (!isConcrete(shape))
    throw new ShapeError(`maxPool2d: the dims of ${show(shape)} must be known for a gradient on this target`)
  const [batch, channels, height, width] = shape as [number, number, number, number]
  const [down, right] = attrs.strides as [number, number]
  const [top, left] = attrs.pads as [number, number]
  const [rowStep, columnStep] = attrs.dilations as [number, number]
  const columns = attrs.kernel_shape[1]!
  const seen = windows('maxPool2d', x, attrs, Number.NEGATIVE_INFINITY)
  const [, , size, rows, across] = seen.shape as [number, number, number, number, number]
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
    Array.from({ length: product(shape) as number }, (_, i) => at(i)),
    'int32',
    shape,
  )

type MaxPoolAttrs = WindowAttrs & {
  /** Whether there is a second output: where each maximum stands in the elements of `x`. */
  readonly indices: boolean
}

const MaxPool: Op<MaxPoolAttrs> = op<MaxPoolAttrs>('MaxPool', {
  attrs: WINDOW_FORMS,
  infer: ([x], attrs) => {
    const shape = pool('maxPool2d', x!.shape, attrs)
    return [{ dtype: x!.dtype, shape }, ...(attrs.indices ? [{ dtype: 'int64' as const, shape }] : [])]
  },
  // dx = dy added into zeros where the first maximum of each window stands
  vjp: ({ x: [x], dy, attrs }) => {
    const [, indices] = MaxPool.applyAll([x!], { ...attrs, indices: true })
    const flat = (t: AnyTensor): AnyTensor => reshape(t, [product(t.shape)])
    return [reshape(scatterAdd([product(x!.shape)], flat(indices!), flat(dy), 0), x!.shape)]
  },
  samples: [
    ...samples.map(s => ({ ...s, attrs: { ...s.attrs, indices: false } })),
    ...samples.map(s => ({ ...s, attrs: { ...s.attrs, dilations: [2, 1], indices: true } })),
  ],
  decompose: ([x], attrs) => [maxPlain(x!, attrs), ...(attrs.indices ? [maxPlaces(x!, attrs)] : [])],
})
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
)

const { dilations: _, ...averageForms } = WINDOW_FORMS // which came to AveragePool with opset 19

const AveragePool = op('AveragePool', {
  attrs: { ...averageForms, count_include_pad: { kind: 'int' } },
  infer: ([x], attrs: WindowAttrs & { readonly count_include_pad: 1 }) => [
    { dtype: x!.dtype, shape: pool('avgPool2d', x!.shape, attrs) },
  ],
  // that of the mean over windows
  vjp: ({ x: [x], dy, attrs }) => vjp(meanPlain(x!, attrs), dy, [x!]),
  samples: samples.map(s => ({ ...s, attrs: { ...s.attrs, count_include_pad: 1 } as const })),
  decompose: ([x], attrs) => [meanPlain(x!, attrs)],
})
/** Mean of each window, where padding counts as zeros; the stride is the kernel where none is given. */
export const avgPool2d: PoolFn<'avgPool2d', 'stride' | 'padding'> = typed(
  (x: AnyTensor, kernel: Pair, options: Omit<WindowOptions, 'dilation'> = {}): AnyTensor => {
    images('avgPool2d', x.shape)
    const attrs = windowAttrs('avgPool2d', kernel, { ...options, stride: options.stride ?? kernel })
    return AveragePool.apply([x], { ...attrs, count_include_pad: 1 })
  },
)

/** Largest element of each channel, `[n, c, h, w]` → `[n, c]`; a tie shares the gradient evenly, as torch.amax does. */
export const globalMaxPool2d: GlobalPoolFn<'globalMaxPool2d'> = typed((x: AnyTensor): AnyTensor => {
  images('globalMaxPool2d', x.shape)
  return max(x, [2, 3])
})

/** Mean of each channel, `[n, c, h, w]` → `[n, c]`. */
export const globalAvgPool2d: GlobalPoolFn<'globalAvgPool2d'> = typed((x: AnyTensor): AnyTensor => {
  images('globalAvgPool2d', x.shape)
  return mean(x, [2, 3])
})
