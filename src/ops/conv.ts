import { isConcrete } from '../graph/bind.ts'
import { ShapeError } from '../graph/errors.ts'
import * as rules from '../graph/images.ts'
import { op, sameDType, type TensorType } from '../graph/node.ts'
import { f32, sample } from '../graph/sample.ts'
import { product, show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import type { Conv2dFn, ConvOptions } from '../graph/typed/image-signatures.ts'
import { typed } from '../graph/typed/signatures.ts'
import { add } from './elementwise.ts'
import { vjp } from './grad.ts'
import { fill, reshape, slice, transpose } from './layout.ts'
import { matmul } from './matmul.ts'
import { sum } from './reduce.ts'
import { WINDOW_FORMS, windows } from './window.ts'

type ConvAttrs = rules.WindowAttrs & { readonly group: number }
const forms = { ...WINDOW_FORMS, group: { kind: 'int' } } as const

const plain = { strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 }

const Conv = op('Conv', {
  attrs: forms,
  infer: ([x, w, b], attrs: ConvAttrs) => {
    const dtype = sameDType('conv2d', [x!, w!, ...(b ? [b] : [])])
    return [{ dtype, shape: rules.conv2d('conv2d', x!.shape, w!.shape, b?.shape, attrs.group, attrs) }]
  },
  // y = w ∗ x: dx = the transposed convolution of dy, dw = x correlated with dy, db = Σ dy over batch and places
  vjp: ({ x: [x, w, b], dy, attrs }) => {
    if (!isConcrete(x!.shape.slice(2)))
      throw new ShapeError(`conv2d: no gradient for ${show(x!.shape)}, whose height and width are not known`)
    const slopes = [convTranspose(dy, w!, x!, attrs), weightGradient(x!, dy, w!, attrs)]
    return b ? [...slopes, sum(dy, [0, 2, 3])] : slopes
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
  macs: ([, w], [y]) => macs(w!, y!),
  decompose: ([x, w, b], attrs) => [conv2dPlain(x!, w!, b, attrs)],
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
    return Conv.apply([x, weight, ...(bias ? [bias] : [])], { ...attrs, group: groups })
  },
)

/** Convolution as one matrix product with all windows: what {@link conv2d} is held against, and its float64 form. */
function conv2dPlain(x: AnyTensor, w: AnyTensor, bias: AnyTensor | undefined, attrs: ConvAttrs): AnyTensor {
  const [n] = x.shape
  const [out, ...filter] = w.shape as number[]
  const [height, width] = rules.windowDims('conv2d', x.shape, attrs)
  const inner = product(filter)
  const columns = reshape(windows('conv2d', x, attrs), [n!, attrs.group, inner, product([height!, width!])])
  const y = matmul(reshape(w, [attrs.group, out! / attrs.group, inner]), columns)
  const image = reshape(y, [n!, out!, height!, width!])
  return bias ? add(image, reshape(bias, [out!, 1, 1])) : image
}

type TransposedAttrs = ConvAttrs & { readonly output_padding: readonly number[] }

function transposedType(dy: TensorType, w: TensorType, a: TransposedAttrs): TensorType {
  const [n, , ...places] = dy.shape as number[]
  const sizes = places.map((p, i) => {
    const reach = (p - 1) * a.strides[i]! + a.dilations[i]! * (a.kernel_shape[i]! - 1) + 1
    return reach - a.pads[i]! - a.pads[i + 2]! + a.output_padding[i]!
  })
  const channels = (w.shape[1] as number) * a.group
  return { dtype: sameDType('convTranspose', [dy, w]), shape: [n!, channels, ...sizes] }
}

const ConvTranspose = op('ConvTranspose', {
  attrs: { ...forms, output_padding: { kind: 'ints' } },
  infer: ([dy, w], attrs: TransposedAttrs) => [transposedType(dy!, w!, attrs)],
  // x = wᵀ ∗ dy: the convolution it is transposed to, and that one's weight gradient with the roles exchanged
  vjp: ({ x: [x, w], dy, attrs: { output_padding: _, ...attrs } }) => [
    Conv.apply([dy, w!], attrs),
    weightGradient(dy, x!, w!, attrs),
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
    const x = fill(0, dy!.dtype, transposedType(dy!, w!, attrs).shape)
    return vjp(conv2dPlain(x, w!, undefined, attrs), dy!, [x])
  },
})

/** The gradient of a convolution with respect to its input `x`. */
function convTranspose(dy: AnyTensor, w: AnyTensor, x: AnyTensor, attrs: ConvAttrs): AnyTensor {
  // Rows that no window reached, because the stride did not divide.
  const rest = [0, 1].map(i => {
    const padded = (x.shape[i + 2] as number) + attrs.pads[i]! + attrs.pads[i + 2]!
    return (padded - attrs.dilations[i]! * (attrs.kernel_shape[i]! - 1) - 1) % attrs.strides[i]!
  })
  return ConvTranspose.apply([dy, w], { ...attrs, output_padding: rest })
}

/**
 * The gradient of a convolution with respect to its weight: x convolved with dy, batch and channels exchanged, stride
 * and dilation exchanged. Groups stay groups.
 */
function weightGradient(x: AnyTensor, dy: AnyTensor, w: AnyTensor, attrs: ConvAttrs): AnyTensor {
  const { strides, dilations, group } = attrs
  const [n, c, ...size] = x.shape as number[]
  const perGroup = c! / group
  const split = reshape(x, [n!, group, perGroup, ...size])
  const images = reshape(transpose(split, [2, 1, 0, 3, 4]), [perGroup, product([n!, group]), ...size])
  const filters = transpose(dy, [1, 0, 2, 3])
  const whole = Conv.apply([images, filters], {
    ...attrs,
    kernel_shape: dy.shape.slice(2) as number[],
    strides: dilations,
    dilations: strides,
  })
  const [, , rows, columns] = w.shape as number[]
  return transpose(slice(slice(whole, 2, 0, rows!), 3, 0, columns!), [1, 0, 2, 3])
}
