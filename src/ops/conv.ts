import { attr, type TensorType } from '../graph/attributes.ts'
import { isConcrete } from '../graph/bind.ts'
import { ShapeError } from '../graph/errors.ts'
import * as rules from '../graph/images.ts'
import { op, sameDType } from '../graph/op.ts'
import { nth } from '../graph/present.ts'
import { f32, sample } from '../graph/sample.ts'
import { product, type Shape, show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import type { Conv2dFn, ConvOptions } from '../graph/typed/image-signatures.ts'
import { typed } from '../graph/typed/signatures.ts'
import { add } from './elementwise.ts'
import { vjp } from './grad.ts'
import { fill, reshape, slice, transpose } from './layout.ts'
import { matmul } from './matmul.ts'
import { sum } from './reduce.ts'
import { axesText, WINDOW_FORMS, windows } from './window.ts'

type ConvAttrs = rules.WindowAttrs & { readonly group: number }
const forms = { ...WINDOW_FORMS, group: attr.int() }

/** Sizes of the filters `[out, in, kh, kw]`. */
function kernelOf(name: string, w: Shape): readonly number[] {
  const kernel = w.slice(2)
  if (isConcrete(kernel)) return kernel
  throw new ShapeError(`${name}: takes a weight [out, channels, height, width], not ${show(w)}`)
}

/** Axes that the gradient of a bias sums over: all but the channels. */
const exceptChannels = (y: AnyTensor): number[] => [...y.shape.keys()].filter(i => i !== 1)

const square = { strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 } as const

const Conv = op('Conv', {
  inputs: ['X', 'W', 'B?'],
  attrs: forms,
  infer: ([x, w, b], attrs) => {
    const name = rules.windowName('conv', attrs.kernel_shape)
    const dtype = sameDType(name, [x, w, b])
    return [{ dtype, shape: rules.conv(name, x.shape, w.shape, b?.shape, attrs.group, attrs) }]
  },
  // y = w ∗ x: dx = the transposed convolution of dy, dw = x correlated with dy, db = Σ dy over batch and places
  vjp: ({ x: [x, w, b], dy, attrs }) => {
    if (!isConcrete(x.shape.slice(2)))
      throw new ShapeError(
        `${rules.windowName('conv', attrs.kernel_shape)}: no gradient for ${show(x.shape)}: its ${axesText(attrs)} are not known`,
      )
    const [dx, dw] = [convTranspose(dy, w, x, attrs), weightGradient(x, dy, w, attrs)]
    return b ? [dx, dw, sum(dy, exceptChannels(dy))] : [dx, dw]
  },
  samples: [
    sample(f32(2, 3, 8, 7), f32(4, 3, 3, 3), f32(4), {
      ...square,
      kernel_shape: [3, 3],
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    }),
    sample(f32(2, 4, 6, 7), f32(6, 2, 3, 2), {
      ...square,
      kernel_shape: [3, 2],
      strides: [1, 3],
      pads: [0, 1, 2, 1],
      dilations: [2, 1],
      group: 2,
    }),
    // A shape that onnxruntime's WebGPU kernel gets wrong: see passes/whole-channels.ts.
    sample(f32(2, 6, 5, 5), f32(8, 6, 3, 3), f32(8), { ...square, kernel_shape: [3, 3] }),
    sample(f32(2, 2, 9), f32(3, 2, 4), f32(3), {
      kernel_shape: [4],
      strides: [2],
      pads: [3, 1],
      dilations: [2],
      group: 1,
    }),
    sample(f32(1, 2, 4, 5, 3), f32(4, 1, 2, 3, 1), {
      kernel_shape: [2, 3, 1],
      strides: [1, 2, 2],
      pads: [1, 0, 0, 0, 2, 1],
      dilations: [2, 1, 1],
      group: 2,
    }),
  ],
  macs: ([, w], [y]) => macs(w, y),
  decompose: ([x, w, b], attrs) => [convPlain(x, w, b, attrs)],
})

/** Multiply–accumulates: elements of the result × elements of one filter; symbols count as 1. */
const macs = (w: TensorType, y: TensorType): number =>
  [...y.shape, ...w.shape.slice(1)].reduce<number>((n, d) => n * (typeof d === 'number' && d > 0 ? d : 1), 1)

/**
 * 2-D convolution (cross-correlation), as torch.nn.functional.conv2d.
 * @param x `[n, c, h, w]` @param weight `[out, c / groups, kh, kw]` @param bias `[out]`
 * @param options a number or [vertical, horizontal] each; padding is zeros on both sides
 */
export const conv2d: Conv2dFn = typed(
  (x: AnyTensor, weight: AnyTensor, bias?: AnyTensor, { groups = 1, ...options }: ConvOptions = {}) => {
    rules.images('conv2d', x.shape)
    rules.filters('conv2d', weight.shape)
    const attrs = rules.windowAttrs('conv2d', weight.shape.slice(2), options)
    return Conv.apply(bias ? [x, weight, bias] : [x, weight], { ...attrs, group: groups })
  },
  t => [t(1, 2, 5, 5), t(3, 2, 3, 3), t(3)],
)

/** Convolution as one matrix product with all windows: what {@link conv2d} is tested against, and its float64 form. */
function convPlain(x: AnyTensor, w: AnyTensor, bias: AnyTensor | undefined, attrs: ConvAttrs): AnyTensor {
  const name = rules.windowName('conv', attrs.kernel_shape)
  const [n] = x.shape
  const [out, ...filter]: [number, ...number[]] = w.shape
  const places = rules.windowDims(name, x.shape, attrs)
  const inner = product(filter)
  const columns = reshape(windows(name, x, attrs), [n, attrs.group, inner, product(places)])
  const y = matmul(reshape(w, [attrs.group, out / attrs.group, inner]), columns)
  return biased(reshape(y, [n, out, ...places]), bias)
}

/** Adds a bias `[channels]` to each channel of `[n, channels, ...]`. */
function biased(y: AnyTensor, bias: AnyTensor | undefined): AnyTensor {
  if (!bias) return y
  const [channels] = bias.shape
  return add(y, reshape(bias, [channels, ...y.shape.slice(2).map(() => 1)]))
}

const ConvTranspose = op('ConvTranspose', {
  inputs: ['X', 'W', 'B?'],
  attrs: { ...forms, output_padding: attr.ints() },
  infer: ([x, w, b], attrs) => {
    const name = rules.windowName('convTranspose', attrs.kernel_shape)
    const dtype = sameDType(name, [x, w, b])
    return [{ dtype, shape: rules.convTranspose(name, x.shape, w.shape, b?.shape, attrs) }]
  },
  // x = wᵀ ∗ dy: the convolution it is transposed to, and that one's weight gradient with the roles exchanged
  vjp: ({ x: [x, w, b], dy, attrs: { output_padding: _, ...attrs } }) => {
    const [dx, dw] = [Conv.apply([dy, w], attrs), weightGradient(dy, x, w, attrs)]
    return b ? [dx, dw, sum(dy, exceptChannels(dy))] : [dx, dw]
  },
  samples: [
    sample(f32(2, 4, 3, 4), f32(4, 3, 3, 2), {
      ...square,
      kernel_shape: [3, 2],
      strides: [2, 3],
      pads: [1, 0, 1, 1],
      output_padding: [1, 2],
    }),
    sample(f32(2, 6, 3, 4), f32(6, 2, 2, 2), {
      ...square,
      kernel_shape: [2, 2],
      dilations: [2, 1],
      group: 3,
      output_padding: [0, 0],
    }),
    sample(f32(2, 3, 5), f32(3, 2, 4), f32(2), {
      kernel_shape: [4],
      strides: [3],
      pads: [1, 2],
      dilations: [1],
      group: 1,
      output_padding: [1],
    }),
    sample(f32(1, 2, 2, 3, 2), f32(2, 1, 2, 2, 3), f32(2), {
      kernel_shape: [2, 2, 3],
      strides: [2, 1, 2],
      pads: [0, 1, 0, 1, 0, 1],
      dilations: [1, 2, 1],
      group: 2,
      output_padding: [1, 0, 0],
    }),
  ],
  // The convolution is linear in x, so where its gradient is taken does not matter.
  decompose: ([dy, w, b], attrs) => {
    const shape = rules.convTranspose(
      rules.windowName('convTranspose', attrs.kernel_shape),
      dy.shape,
      w.shape,
      undefined,
      attrs,
    )
    const x = fill(0, dy.dtype, shape)
    const [y] = vjp(convPlain(x, w, undefined, attrs), dy, [x])
    return [biased(y, b)]
  },
})

/** The gradient of a convolution with respect to its input `x`. */
function convTranspose(dy: AnyTensor, w: AnyTensor, x: AnyTensor, attrs: ConvAttrs): AnyTensor {
  // Rows that no window reached because the stride did not divide.
  const rest = attrs.strides.map((stride, i) => {
    const [before, after] = rules.paddingOf(attrs, i)
    return (x.shape[i + 2] + before + after - rules.reachOf(attrs, i) - 1) % stride
  })
  return ConvTranspose.apply([dy, w], { ...attrs, output_padding: rest })
}

/**
 * The gradient of a convolution with respect to its weight: x convolved with dy, batch and channels exchanged, stride
 * and dilation exchanged. Groups stay groups.
 */
function weightGradient(x: AnyTensor, dy: AnyTensor, w: AnyTensor, attrs: ConvAttrs): AnyTensor {
  const { strides, dilations, group } = attrs
  const name = rules.windowName('conv', attrs.kernel_shape)
  const [n, c, ...sizes]: [number, number, ...number[]] = x.shape
  const axes = [...sizes.keys()]
  const split = reshape(x, [n, group, c / group, ...sizes])
  const exchanged = transpose(split, [2, 1, 0, ...axes.map(i => i + 3)])
  const images = reshape(exchanged, [c / group, product([n, group]), ...sizes])
  const swap = [1, 0, ...axes.map(i => i + 2)]
  const whole = Conv.apply([images, transpose(dy, swap)], {
    ...attrs,
    kernel_shape: kernelOf(name, dy.shape),
    strides: dilations,
    dilations: strides,
  })
  const kernel = kernelOf(name, w.shape)
  const cut = axes.reduce((y: AnyTensor, i): AnyTensor => slice(y, i + 2, 0, nth(kernel, i)), whole)
  return transpose(cut, swap)
}

/** Primitives that importing applies. `ops` has functions alone: `export *` leaves this out. */
export default { Conv, ConvTranspose }
