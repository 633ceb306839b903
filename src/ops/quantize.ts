import { attr, type TensorType } from '../graph/attributes.ts'
import { type DType, FLOATS } from '../graph/dtype.ts'
import { ShapeError } from '../graph/errors.ts'
import { fileOp, sameDType } from '../graph/op.ts'
import { nth, present } from '../graph/present.ts'
import { f32, sample, whole } from '../graph/sample.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import {
  add,
  cast,
  clip,
  div,
  equal,
  floor,
  greater,
  maximum,
  minimum,
  mul,
  neg,
  sub,
  where,
} from './elementwise.ts'
import { onesLike } from './fill.ts'
import { vjp } from './grad.ts'
import { expand, reshape } from './layout.ts'
import { max, min } from './reduce.ts'

// A quantized tensor stands for real numbers: q for (q − z) s. Its gradient is that of q as if q were a real number, so it is a
// float tensor. Rounding lets gradients pass (straight-through, Bengio et al. 2013); scales learn as in LSQ (Esser et al. 2020)
// and in PyTorch's learnable fake quantization. Zero points are integers and do not learn.

/** Values that quantization ends at. */
const RANGES: Readonly<Partial<Record<DType, readonly [low: number, high: number]>>> = {
  int8: [-128, 127],
  uint8: [0, 255],
}

function rangeOf(dtype: DType): readonly [low: number, high: number] {
  const range = RANGES[dtype]
  if (!range) throw new ShapeError(`quantize: takes a zero point of int8 or uint8, not ${dtype}`)
  return range
}

/** Throws unless scale and zero point are single, or one for each place of the axis. */
function wantScale(name: string, x: TensorType, scale: TensorType, zero: TensorType, axis: number): void {
  const { shape } = scale
  const written = `scale ${shapes.show(shape)}`
  if (isSingle(shape) && isSingle(zero.shape)) return
  if (!shapes.sameShape(shape, zero.shape))
    throw new ShapeError(`${name}: ${written} and zero point ${shapes.show(zero.shape)} differ`)
  const dim = nth(x.shape, shapes.axisOf(name, axis, x.shape.length))
  if (!shapes.sameShape(shape, [dim]))
    throw new ShapeError(`${name}: ${written} does not fit axis ${axis} of ${shapes.show(x.shape)}`)
}

const isSingle = (shape: shapes.Shape): boolean => shape.every(d => d === 1) && shape.length < 2

/** A scale or zero point as it broadcasts against `x`. */
function alongAxis(v: AnyTensor, x: AnyTensor, axis: number): AnyTensor {
  if (isSingle(v.shape)) return reshape(v, [])
  const at = shapes.axisOf('quantize', axis, x.shape.length)
  return reshape(
    v,
    x.shape.map((_: unknown, i: number) => (i === at ? v.shape[0] : 1)),
  )
}

/** The nearest whole number, the even one of two. */
function roundEven(x: AnyTensor): AnyTensor {
  const low = floor(x)
  const rest = sub(x, low)
  const odd = sub(low, mul(floor(mul(low, 0.5)), 2))
  const up = where(equal(rest, 0.5), odd, cast(greater(rest, 0.5), x.dtype))
  return add(low, up)
}

/** round(x / s) + z before it is cut to the range of the integers. */
const placed = (x: AnyTensor, s: AnyTensor, z: AnyTensor): AnyTensor =>
  add(roundEven(div(x, s)), cast(z, x.dtype))

const along = (axis: number, inputs: readonly (TensorType | undefined)[], attrs: { axis: number }) => {
  const [x, scale] = [present(inputs[0], 'tensor'), present(inputs[1], 'scale')]
  const own = isSingle(scale.shape) || axis !== shapes.axisOf('quantize', attrs.axis, x.shape.length)
  return [axis, ...inputs.slice(1).map(() => (own ? null : 0))]
}

const QuantizeLinear = fileOp('QuantizeLinear', {
  inputs: ['x', 'y_scale', 'y_zero_point'],
  outputs: ['y'],
  attrs: { axis: attr.int({ default: 1 }) },
  infer: ([x, scale, zero], { axis }) => {
    sameDType('quantize', [x, scale], FLOATS)
    wantScale('quantize', x, scale, zero, axis)
    rangeOf(zero.dtype)
    return [{ dtype: zero.dtype, shape: x.shape }]
  },
  along,
  // q = clip(round(x / s) + z): dx = dq / s and ds = −dq x / s² where q is not clipped, 0 elsewhere. What rounds into the range is up
  // to half a step outside of it.
  vjp: ({ x: [x, scale, zero], dy, attrs: { axis } }) => {
    const [low, high] = rangeOf(zero.dtype)
    const s = alongAxis(scale, x, axis)
    const q = add(div(x, s), cast(alongAxis(zero, x, axis), x.dtype))
    const dx = div(mul(dy, cast(equal(q, clip(q, low - 0.5, high + 0.5)), dy.dtype)), s)
    const [dscale] = vjp(reducible(scale, x, axis), neg(mul(dx, div(x, s))), [scale])
    return [dx, dscale, null]
  },
  lacks: ({ dtype }) => dtype === 'float64',
  decompose: ([x, scale, zero], { axis }) => {
    const [low, high] = rangeOf(zero.dtype)
    const q = placed(x, alongAxis(scale, x, axis), alongAxis(zero, x, axis))
    return [cast(clip(q, low, high), zero.dtype)]
  },
  samples: [
    sample(f32(3, 4, 2), f32().positive(), whole('uint8', 256), { axis: 1 }),
    sample(f32(3, 4, 2), f32(4).positive(), whole('int8', 128, 4), { axis: 1 }),
    sample(f32(3, 2), f32(2).positive(), whole('uint8', 256, 2), { axis: -1 }),
  ],
})

/** A scale repeated to the shape of `x`, whose gradient is the sum over the repeats. */
const reducible = (scale: AnyTensor, x: AnyTensor, axis: number): AnyTensor =>
  expand(alongAxis(scale, x, axis), x.shape)

/** Whole numbers round(x / scale) + zero point, cut to the range of the zero point's dtype. @param axis of a scale for each of its places */
export const quantize = (x: AnyTensor, scale: AnyTensor, zero: AnyTensor, axis = 1): AnyTensor =>
  QuantizeLinear.apply([x, scale, zero], { axis: isSingle(scale.shape) ? 1 : axis })

const DequantizeLinear = fileOp('DequantizeLinear', {
  inputs: ['x', 'x_scale', 'x_zero_point?'],
  outputs: ['y'],
  attrs: { axis: attr.int({ default: 1 }) },
  infer: ([x, scale, zero], { axis }) => {
    sameDType('dequantize', [scale], FLOATS)
    sameDType('dequantize', [x, zero], ['int8', 'uint8', 'int32'])
    wantScale('dequantize', x, scale, zero ?? scale, axis)
    return [{ dtype: scale.dtype, shape: x.shape }]
  },
  along,
  // y = (q − z) s: dq = dy s, ds = Σ dy (q − z)
  vjp: ({ x: [q, scale, zero], dy, attrs: { axis } }) => {
    const steps = stepsOf(q, zero && alongAxis(zero, q, axis), dy.dtype)
    const [dscale] = vjp(reducible(scale, steps, axis), mul(dy, steps), [scale])
    const dq = mul(dy, alongAxis(scale, q, axis))
    return zero ? [dq, dscale, null] : [dq, dscale]
  },
  decompose: ([q, scale, zero], { axis }) => [
    mul(stepsOf(q, zero && alongAxis(zero, q, axis), scale.dtype), alongAxis(scale, q, axis)),
  ],
  samples: [
    sample(whole('uint8', 256, 3, 4, 2), f32().positive(), whole('uint8', 256), { axis: 1 }),
    sample(whole('int8', 128, 3, 4, 2), f32(4).positive(), whole('int8', 128, 4), { axis: 1 }),
    sample(whole('int32', 1000, 2, 3), f32().positive(), whole('int32', 1), { axis: 1 }),
    sample(whole('int32', 1000, 3), f32(3).positive(), { axis: 0 }),
  ],
})

/** q − z as real numbers; an int32 takes no part of its precision with it. */
export const stepsOf = (q: AnyTensor, zero: AnyTensor | undefined, dtype: DType): AnyTensor =>
  cast(zero ? sub(cast(q, 'int32'), cast(zero, 'int32')) : q, dtype)

/**
 * (q − zero point) scale: what quantized numbers stand for. @param zero zero point; left out, it is 0 @param axis of a scale for each of
 * its places
 */
export const dequantize = (q: AnyTensor, scale: AnyTensor, zero?: AnyTensor, axis = 1): AnyTensor =>
  DequantizeLinear.apply(zero ? [q, scale, zero] : [q, scale], { axis: isSingle(scale.shape) ? 1 : axis })

/** The steps of uint8. */
const STEPS = 255

function dynamicPlain(x: AnyTensor): readonly [y: AnyTensor, scale: AnyTensor, zero: AnyTensor] {
  const [low, high] = [minimum(min(x), 0), maximum(max(x), 0)]
  const range = sub(high, low)
  const scale = div(where(equal(range, 0), mul(onesLike(range), STEPS), range), STEPS)
  const zero = cast(clip(roundEven(neg(div(low, scale))), 0, STEPS), 'uint8')
  return [quantize(x, scale, zero), scale, zero]
}

/** Quantization to uint8 with the scale and zero point that the tensor's own range gives. */
export const DynamicQuantizeLinear = fileOp('DynamicQuantizeLinear', {
  inputs: ['x'],
  outputs: ['y', 'y_scale', 'y_zero_point'],
  infer: ([x]) => {
    sameDType('dynamicQuantize', [x], FLOATS)
    return [
      { dtype: 'uint8', shape: x.shape },
      { dtype: x.dtype, shape: [] },
      { dtype: 'uint8', shape: [] },
    ]
  },
  // s = (max(x, 0) − min(x, 0)) / 255 and q = clip(round(x / s) + z): the sum of their gradients
  vjp: ({ x: [x], dys: [dq, ds] }) => {
    const [q, scale] = dynamicPlain(x)
    const parts = [dq ? vjp(q, dq, [x])[0] : undefined, ds ? vjp(scale, ds, [x])[0] : undefined]
    const found = parts.filter(part => part !== undefined)
    return [found.length ? found.reduce((a, b) => add(a, b)) : null]
  },
  lacks: ({ dtype }) => dtype === 'float64',
  decompose: ([x]) => dynamicPlain(x),
  samples: [sample(f32(3, 4)), sample(f32(2, 5).positive())],
})

/** Primitives that passes and deployment look for. `ops` has functions alone: `export *` leaves this out. */
export default { DequantizeLinear, QuantizeLinear }
