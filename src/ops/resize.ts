import { attr } from '../graph/attributes.ts'
import { FLOATS } from '../graph/dtype.ts'
import { ShapeError } from '../graph/errors.ts'
import { constant } from '../graph/leaf.ts'
import { fileOp, sameDType } from '../graph/op.ts'
import { nth } from '../graph/present.ts'
import { f32, sample } from '../graph/sample.ts'
import { axisOf, type Dim, product, type Shape, show, UNKNOWN } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { where } from './elementwise.ts'
import { gather } from './gather.ts'
import { vjp } from './grad.ts'
import {
  type CoordinateMode,
  type Interpolation,
  insideOf,
  type NearestMode,
  nearestOf,
  type ResizedAxis,
  weightsOf,
} from './interpolation.ts'
import { expand, reshape, transpose } from './layout.ts'
import { matmul } from './matmul.ts'

/** Attributes of ONNX's Resize; those that opset 17 does not have are undefined where they would change nothing. */
export interface ResizeAttrs extends Interpolation {
  /** Starts and then ends of the part that is seen, as fractions, for `tf_crop_and_resize`. */
  readonly roi?: readonly number[] | undefined
  /** A factor for each of the axes; or `sizes`. */
  readonly scales?: readonly number[] | undefined
  /** A size for each of the axes, which may be a symbol. */
  readonly sizes?: Shape | undefined
  /** Value of what lies outside the input, for `tf_crop_and_resize`. */
  readonly extrapolation_value: number
  /** @default all */
  readonly axes?: readonly number[] | undefined
  /** Whether all axes get the scale of the one whose scale is smallest (`not_larger`) or largest. */
  readonly keep_aspect_ratio_policy?: 'not_larger' | 'not_smaller' | undefined
}

/** What becomes of an axis; the scale is undefined where a size is not known. */
interface Target {
  readonly axis: number
  readonly from: Dim
  readonly to: Dim
  readonly scale: number | undefined
}

const isSize = (d: Dim): d is number => typeof d === 'number' && d !== UNKNOWN

function scaled(d: Dim, scale: number): Dim {
  if (scale === 1) return d
  // Rounded as runtimes do: 0.7 in single precision is a little less, but 0.7 of 10 elements are 7.
  if (isSize(d)) return Math.floor(Math.fround(d * scale))
  return Number.isInteger(scale) ? product([d, scale]) : UNKNOWN
}

/** What becomes of each axis that is resized. */
function targetsOf(x: Shape, attrs: ResizeAttrs): Target[] {
  const { scales, sizes, keep_aspect_ratio_policy: policy } = attrs
  const axes = (attrs.axes ?? [...x.keys()]).map(a => axisOf('resize', a, x.length))
  const given = scales ?? sizes ?? []
  if (!scales === !sizes || given.length !== axes.length)
    throw new ShapeError(
      `resize: ${axes.length} axes of ${show(x)} need as many scales or sizes, not ${scales?.length ?? 0} scales and ${sizes?.length ?? 0} sizes`,
    )
  if (scales?.some(s => !(s > 0)))
    throw new ShapeError(`resize: scales [${scales.join()}] must be greater than 0`)
  if (policy) return proportional(x, axes, sizes ?? [], policy)
  return axes.map((axis, i) => {
    const from = nth(x, axis)
    if (scales) {
      const scale = Math.fround(nth(scales, i))
      return { axis, from, to: scaled(from, scale), scale }
    }
    const to = nth(sizes ?? [], i)
    return { axis, from, to, scale: isSize(from) && isSize(to) ? Math.fround(to / from) : undefined }
  })
}

function proportional(
  x: Shape,
  axes: readonly number[],
  sizes: Shape,
  policy: 'not_larger' | 'not_smaller',
): Target[] {
  const ratios = axes.map((axis, i) => {
    const [from, to] = [nth(x, axis), nth(sizes, i)]
    return isSize(from) && isSize(to) ? Math.fround(to / from) : Number.NaN
  })
  const scale = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios)
  return axes.map(axis => {
    const from = nth(x, axis)
    return isSize(from) && !Number.isNaN(scale)
      ? { axis, from, to: Math.floor(Math.fround(scale * from) + 0.5), scale }
      : { axis, from, to: UNKNOWN, scale: undefined }
  })
}

/** An axis whose sizes are known; undefined for one that stays as it is. */
function resizedAxis(target: Target, place: number, x: Shape, attrs: ResizeAttrs): ResizedAxis | undefined {
  const { axis, from, to, scale } = target
  const { roi = [], coordinate_transformation_mode: mode } = attrs
  const crops = mode === 'tf_crop_and_resize'
  const start = crops ? Number(roi[place]) : 0
  const end = crops ? Number(roi[place + roi.length / 2]) : 1
  const same = from === to && (from !== UNKNOWN || scale === 1) && (scale ?? 1) === 1
  if (same && start === 0 && end === 1) return undefined
  if (!isSize(from) || !isSize(to) || scale === undefined)
    throw new ShapeError(
      `resize: axis ${axis} of ${show(x)} becomes ${to === UNKNOWN ? '?' : to}; its gradient needs both sizes, so give a size for each symbol of the inputs`,
    )
  return { from, to, scale, start, end }
}

/**
 * One axis after the other: a row of weights for each element of an axis, so that values and gradients are matrix products;
 * the reference for the operator, and the form that is differentiated.
 */
export function resizePlain(x: AnyTensor, attrs: ResizeAttrs): AnyTensor {
  const shape: Shape = x.shape
  const outside: AnyTensor[] = []
  let y = x
  for (const [place, target] of targetsOf(shape, attrs).entries()) {
    const axis = resizedAxis(target, place, shape, attrs)
    if (!axis) continue
    y = along(y, target.axis, axis, attrs)
    const inside = insideOf(attrs, axis)
    if (inside.every(Boolean)) continue
    const column = shape.map((_, i) => (i === target.axis ? axis.to : 1))
    outside.push(
      constant(
        inside.map(v => (v ? 0 : 1)),
        'bool',
        column,
      ),
    )
  }
  const value = constant(attrs.extrapolation_value, x.dtype, [])
  return outside.reduce((a, mask): AnyTensor => where(mask, value, a), y)
}

function along(x: AnyTensor, place: number, axis: ResizedAxis, attrs: ResizeAttrs): AnyTensor {
  if (attrs.mode === 'nearest') {
    const indices = nearestOf(attrs, axis)
    const times = axis.to / axis.from
    if (Number.isInteger(times) && indices.every((at, i) => at === Math.floor(i / times)))
      return repeated(x, place, times)
    return gather(x, constant(indices, 'int64', [indices.length]), place)
  }
  const weights = constant(weightsOf(attrs, axis), x.dtype, [axis.to, axis.from])
  const rank = x.shape.length
  if (place === rank - 2) return matmul(weights, x)
  if (place === rank - 1) return matmul(x, transpose(weights, [1, 0]))
  const perm = [...x.shape.keys()].with(place, rank - 1).with(rank - 1, place)
  return transpose(matmul(transpose(x, perm), transpose(weights, [1, 0])), perm)
}

/** Each element of an axis several times; the gradient is a sum. */
function repeated(x: AnyTensor, axis: number, times: number): AnyTensor {
  const shape: Shape = x.shape
  const size = Number(shape[axis])
  const apart = reshape(x, shape.toSpliced(axis, 1, size, 1))
  return reshape(expand(apart, shape.toSpliced(axis, 1, size, times)), shape.with(axis, size * times))
}

const NONE = {
  roi: undefined,
  scales: undefined,
  sizes: undefined,
  axes: undefined,
  antialias: undefined,
  keep_aspect_ratio_policy: undefined,
} as const
const DEFAULTS = {
  mode: 'linear',
  coordinate_transformation_mode: 'half_pixel',
  nearest_mode: 'round_prefer_floor',
  cubic_coeff_a: -0.75,
  exclude_outside: false,
  extrapolation_value: 0,
} as const
const image = f32(2, 3, 5, 6)
const sizes = [2, 3, 7, 4]
const resizing = (attrs: Partial<ResizeAttrs>, x = image) => sample(x, { ...NONE, ...DEFAULTS, ...attrs })

const Resize = fileOp('Resize', {
  inputs: ['X'],
  attrs: {
    roi: attr.floats<readonly number[] | undefined>({ input: 1, optional: true }),
    scales: attr.floats<readonly number[] | undefined>({ input: 2, optional: true }),
    sizes: attr.dims<Shape | undefined>({ input: 3, optional: true }),
    mode: attr.string<Interpolation['mode']>({ default: 'nearest' }),
    coordinate_transformation_mode: attr.string<CoordinateMode>({ default: 'half_pixel' }),
    nearest_mode: attr.string<NearestMode>({ default: 'round_prefer_floor' }),
    cubic_coeff_a: attr.float({ default: -0.75 }),
    exclude_outside: attr.bool({ default: false }),
    extrapolation_value: attr.float({ default: 0 }),
    antialias: attr.bool<boolean | undefined>({ optional: true }),
    axes: attr.ints<readonly number[] | undefined>({ optional: true }),
    keep_aspect_ratio_policy: attr.string<'not_larger' | 'not_smaller' | undefined>({ optional: true }),
  },
  needs: ({ antialias, axes, keep_aspect_ratio_policy, coordinate_transformation_mode: mode }) =>
    mode === 'half_pixel_symmetric' ? 19 : antialias || axes || keep_aspect_ratio_policy ? 18 : 0,
  infer: ([x], attrs) => {
    const dtype = sameDType('resize', [x], attrs.mode === 'nearest' ? undefined : FLOATS)
    return [
      { dtype, shape: targetsOf(x.shape, attrs).reduce((y, { axis, to }) => y.with(axis, to), x.shape) },
    ]
  },
  // that of the products
  vjp: ({ x: [x], dy, attrs }) => vjp(resizePlain(x, attrs), dy, [x]),
  decompose: ([x], attrs) => [resizePlain(x, attrs)],
  // No provider has a kernel for these (onnxruntime 1.30).
  lacks: ({ dtype }) => ['float64', 'int64', 'bool'].includes(dtype),
  samples: [
    resizing({ scales: [1, 1, 2, 1.5] }),
    resizing({ sizes, coordinate_transformation_mode: 'align_corners' }),
    resizing({ sizes, mode: 'cubic', coordinate_transformation_mode: 'pytorch_half_pixel' }),
    resizing({ sizes, mode: 'cubic', exclude_outside: true, cubic_coeff_a: -0.5 }),
    resizing({ sizes, mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' }),
    resizing({ scales: [1, 1, 2, 3], mode: 'nearest' }),
    resizing({ scales: [1, 1, 0.5, 0.75], mode: 'cubic', antialias: true }),
    resizing({ sizes: [2, 3, 3, 9], antialias: true }),
    resizing({
      sizes,
      coordinate_transformation_mode: 'tf_crop_and_resize',
      roi: [0, 0, 0.2, -0.25, 1, 1, 0.75, 1.25],
      extrapolation_value: 2,
    }),
    resizing({ sizes: [7, 7], axes: [2, 3], mode: 'nearest', keep_aspect_ratio_policy: 'not_larger' }),
    resizing({ scales: [1, 1, 2, 1.5, 0.5] }, f32(1, 2, 3, 4, 4)),
  ],
})

/** ONNX's Resize as one node. */
export const resize = (x: AnyTensor, attrs: ResizeAttrs): AnyTensor =>
  Resize.apply([x], { ...NONE, ...attrs })
