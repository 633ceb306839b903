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
import { twoAxes, WINDOW_FORMS, windows } from './window.ts'

type ConvAttrs = rules.WindowAttrs & { readonly group: number }
const forms = {
  ...WINDOW_FORMS,
  kernel_shape: attr.ints<readonly [number, number]>({
    default: ({ inputs: [, w] }) => kernelOf(w?.shape ?? []),
  }),
  group: attr.int({ default: 1 }),
}

/** Height and width of filters `[out, in, kh, kw]`. */
function kernelOf(w: Shape): [number, number] {
  const [, , height, width] = w
  if (typeof height !== 'number' || typeof width !== 'number')
    throw new ShapeError(`conv2d: takes a weight [out, channels, height, width], not ${show(w)}`)
  return [height, width]
}

const plain = { strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 } as const

const Conv = op('Conv', {
  inputs: ['X', 'W', 'B?'],
  attrs: forms,
  neutral: { auto_pad: 'NOTSET' },
  check: twoAxes,
  infer: ([x, w, b], attrs) => {
    const dtype = sameDType('conv2d', [x, w, b])
    return [{ dtype, shape: rules.conv2d('conv2d', x.shape, w.shape, b?.shape, attrs.group, attrs) }]
  },
  // y = w ∗ x: dx = the transposed convolution of dy, dw = x correlated with dy, db = Σ dy over batch and places
  vjp: ({ x: [x, w, b], dy, attrs }) => {
    if (!isConcrete(x.shape.slice(2)))
      throw new ShapeError(`conv2d: no gradient for ${show(x.shape)}: its height and width are not known`)
    const [dx, dw] = [convTranspose(dy, w, x, attrs), weightGradient(x, dy, w, attrs)]
    return b ? [dx, dw, sum(dy, [0, 2, 3])] : [dx, dw]
  },
  samples: [
    sample(f32(2, 3, 8, 7), f32(4, 3, 3, 3), f32(4), {
      ...plain,
      kernel_shape: [3, 3],
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    }),
    sample(f32(2, 4, 6, 7), f32(6, 2, 3, 2), {
      ...plain,
      kernel_shape: [3, 2],
      strides: [1, 3],
      pads: [0, 1, 2, 1],
      dilations: [2, 1],
      group: 2,
    }),
  ],
  macs: ([, w], [y]) => macs(w, y),
  decompose: ([x, w, b], attrs) => [conv2dPlain(x, w, b, attrs)],
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
function conv2dPlain(x: AnyTensor, w: AnyTensor, bias: AnyTensor | undefined, attrs: ConvAttrs): AnyTensor {
  const [n] = x.shape
  const [out, ...filter]: [number, ...number[]] = w.shape
  const [height, width] = rules.windowDims('conv2d', x.shape, attrs)
  const inner = product(filter)
  const columns = reshape(windows('conv2d', x, attrs), [n, attrs.group, inner, product([height, width])])
  const y = matmul(reshape(w, [attrs.group, out / attrs.group, inner]), columns)
  const image = reshape(y, [n, out, height, width])
  return bias ? add(image, reshape(bias, [out, 1, 1])) : image
}

type TransposedAttrs = ConvAttrs & { readonly output_padding: readonly [number, number] }

function transposedType(dy: TensorType, w: TensorType, a: TransposedAttrs): TensorType {
  const size = (i: 0 | 1): number => {
    const reach = (Number(dy.shape[i + 2]) - 1) * a.strides[i] + a.dilations[i] * (a.kernel_shape[i] - 1) + 1
    return reach - a.pads[i] - a.pads[i === 0 ? 2 : 3] + a.output_padding[i]
  }
  const channels = product([nth(w.shape, 1), a.group])
  return { dtype: sameDType('convTranspose', [dy, w]), shape: [nth(dy.shape, 0), channels, size(0), size(1)] }
}

const ConvTranspose = op('ConvTranspose', {
  inputs: ['X', 'W'],
  attrs: { ...forms, output_padding: attr.ints<readonly [number, number]>({ default: [0, 0] }) },
  neutral: { auto_pad: 'NOTSET' },
  check: twoAxes,
  infer: ([dy, w], attrs) => [transposedType(dy, w, attrs)],
  // x = wᵀ ∗ dy: the convolution it is transposed to, and that one's weight gradient with the roles exchanged
  vjp: ({ x: [x, w], dy, attrs: { output_padding: _, ...attrs } }) => [
    Conv.apply([dy, w], attrs),
    weightGradient(dy, x, w, attrs),
  ],
  samples: [
    sample(f32(2, 4, 3, 4), f32(4, 3, 3, 2), {
      ...plain,
      kernel_shape: [3, 2],
      strides: [2, 3],
      pads: [1, 0, 1, 1],
      output_padding: [1, 2],
    }),
    sample(f32(2, 6, 3, 4), f32(6, 2, 2, 2), {
      ...plain,
      kernel_shape: [2, 2],
      dilations: [2, 1],
      group: 3,
      output_padding: [0, 0],
    }),
  ],
  // The convolution is linear in x, so where its gradient is taken does not matter.
  decompose: ([dy, w], attrs) => {
    const x = fill(0, dy.dtype, transposedType(dy, w, attrs).shape)
    return vjp(conv2dPlain(x, w, undefined, attrs), dy, [x])
  },
})

/** The gradient of a convolution with respect to its input `x`. */
function convTranspose(dy: AnyTensor, w: AnyTensor, x: AnyTensor, attrs: ConvAttrs): AnyTensor {
  // Rows that no window reached because the stride did not divide.
  const rest = (i: 0 | 1): number => {
    const padded = x.shape[i + 2] + attrs.pads[i] + attrs.pads[i === 0 ? 2 : 3]
    return (padded - attrs.dilations[i] * (attrs.kernel_shape[i] - 1) - 1) % attrs.strides[i]
  }
  return ConvTranspose.apply([dy, w], { ...attrs, output_padding: [rest(0), rest(1)] })
}

/**
 * The gradient of a convolution with respect to its weight: x convolved with dy, batch and channels exchanged, stride
 * and dilation exchanged. Groups stay groups.
 */
function weightGradient(x: AnyTensor, dy: AnyTensor, w: AnyTensor, attrs: ConvAttrs): AnyTensor {
  const { strides, dilations, group } = attrs
  const [n, c, ...size]: [number, number, ...number[]] = x.shape
  const perGroup = c / group
  const split = reshape(x, [n, group, perGroup, ...size])
  const images = reshape(transpose(split, [2, 1, 0, 3, 4]), [perGroup, product([n, group]), ...size])
  const filters = transpose(dy, [1, 0, 2, 3])
  const whole = Conv.apply([images, filters], {
    ...attrs,
    kernel_shape: kernelOf(dy.shape),
    strides: dilations,
    dilations: strides,
  })
  const [rows, columns] = kernelOf(w.shape)
  return transpose(slice(slice(whole, 2, 0, rows), 3, 0, columns), [1, 0, 2, 3])
}
