import { op } from '../graph/node.ts'
import { f32, sample } from '../graph/sample.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { vjp } from './grad.ts'
import { max, mean } from './reduce.ts'
import {
  type Pair,
  WINDOW_FORMS,
  type WindowAttrs,
  type WindowOptions,
  windowAttrs,
  windowDims,
  windows,
} from './window.ts'

const samples = [
  { kernel_shape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0], dilations: [1, 1] },
  { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1], dilations: [1, 1] },
].map(attrs => sample(f32(2, 3, 7, 8).distinct(), attrs))

/** Pooling as a reduction over all windows: what the operators are held against, and what is differentiated. */
const maxPlain = (x: AnyTensor, attrs: WindowAttrs): AnyTensor =>
  max(windows('maxPool2d', x, attrs, Number.NEGATIVE_INFINITY), 2)
const meanPlain = (x: AnyTensor, attrs: WindowAttrs): AnyTensor => mean(windows('avgPool2d', x, attrs), 2)

const MaxPool = op('MaxPool', {
  attrs: WINDOW_FORMS,
  infer: ([x], attrs: WindowAttrs) => [
    { dtype: x!.dtype, shape: [...x!.shape.slice(0, 2), ...windowDims('maxPool2d', x!.shape, attrs)] },
  ],
  // that of the maximum over windows: each place gives its gradient to its largest element
  vjp: ({ x: [x], dy, attrs }) => vjp(maxPlain(x!, attrs), dy, [x!]),
  samples,
})
/** Largest element of each window; the stride is the kernel where none is given. `[n, c, h, w]` → `[n, c, h', w']` */
export const maxPool2d = (x: AnyTensor, kernel: Pair, options: WindowOptions = {}): AnyTensor =>
  MaxPool.apply([x], windowAttrs('maxPool2d', x, kernel, { stride: kernel, ...options }))

const { dilations: _, ...averageForms } = WINDOW_FORMS // which came to AveragePool with opset 19

const AveragePool = op('AveragePool', {
  attrs: { ...averageForms, count_include_pad: { kind: 'int' } },
  infer: ([x], attrs: WindowAttrs & { readonly count_include_pad: 1 }) => [
    { dtype: x!.dtype, shape: [...x!.shape.slice(0, 2), ...windowDims('avgPool2d', x!.shape, attrs)] },
  ],
  // that of the mean over windows
  vjp: ({ x: [x], dy, attrs }) => vjp(meanPlain(x!, attrs), dy, [x!]),
  samples: samples.map(s => ({ ...s, attrs: { ...s.attrs, count_include_pad: 1 } as const })),
  decompose: ([x], attrs) => [meanPlain(x!, attrs)],
})
/** Mean of each window, where padding counts as zeros; the stride is the kernel where none is given. */
export const avgPool2d = (
  x: AnyTensor,
  kernel: Pair,
  options: Pick<WindowOptions, 'stride' | 'padding'> = {},
): AnyTensor =>
  AveragePool.apply([x], {
    ...windowAttrs('avgPool2d', x, kernel, { stride: kernel, ...options }),
    count_include_pad: 1,
  })
