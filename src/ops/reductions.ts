import { attr } from '../graph/attributes.ts'
import { FLOATS } from '../graph/dtype.ts'
import { fileOp, noGradient, sameDType } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import * as shapes from '../graph/shape.ts'
import { cast, div, equal, exp, mul, sign, sub, where } from './elementwise.ts'
import { onesLike, zerosLike } from './fill.ts'
import reduce, { sum } from './reduce.ts'

const { reduction, unreduced } = reduce

// d Πx = dy Π of the others: those of x without zeros, over x; where another is zero, 0
const ReduceProd = reduction('ReduceProd', 'prod', 18, ({ x: [x], dy, attrs }) => {
  const zero = equal(x, 0)
  const isZero = cast(zero, x.dtype)
  const filled = where(zero, onesLike(x), x)
  const others = div(ReduceProd.apply([filled], { ...attrs, keepdims: true }), filled)
  const alone = cast(equal(sub(sum(isZero, attrs.axes, true), isZero), 0), x.dtype)
  return [mul(unreduced(dy, x.shape, attrs), mul(others, alone))]
})

// d Σ|x| = sign(x) dy
const ReduceL1 = reduction('ReduceL1', 'l1', 18, ({ x: [x], dy, attrs }) => [
  mul(unreduced(dy, x.shape, attrs), sign(x)),
])

// d √Σx² = x dy / y; 0 at y = 0, as PyTorch's norm
const ReduceL2 = reduction('ReduceL2', 'l2', 18, ({ x: [x], y: [y], dy, attrs }) => {
  const norm = unreduced(y, x.shape, attrs)
  const zero = equal(norm, 0)
  const slope = div(unreduced(dy, x.shape, attrs), where(zero, onesLike(norm), norm))
  return [mul(x, where(zero, zerosLike(norm), slope))]
})

// d Σx² = 2 x dy
const ReduceSumSquare = reduction('ReduceSumSquare', 'sumSquare', 18, ({ x: [x], dy, attrs }) => [
  mul(unreduced(mul(dy, 2), x.shape, attrs), x),
])

// y = ln Σx: dx = dy / Σx
const ReduceLogSum = reduction(
  'ReduceLogSum',
  'logSum',
  18,
  ({ x: [x], dy, attrs }) => [mul(onesLike(x), div(unreduced(dy, x.shape, attrs), sum(x, attrs.axes, true)))],
  f32(3, 4, 5).positive(),
)

// y = ln Σ exp(x): dx = exp(x − y) dy
const ReduceLogSumExp = reduction('ReduceLogSumExp', 'logSumExp', 18, ({ x: [x], y: [y], dy, attrs }) => [
  mul(exp(sub(x, unreduced(y, x.shape, attrs))), unreduced(dy, x.shape, attrs)),
])

const ArgMin = fileOp('ArgMin', {
  inputs: ['data'],
  outputs: ['reduced'],
  attrs: { axis: attr.int({ default: 0 }), keepdims: attr.bool({ default: true }) },
  neutral: { select_last_index: 0 },
  infer: ([x], { axis, keepdims }) => [
    { dtype: 'int64', shape: shapes.reduce('argmin', x.shape, [axis], keepdims) },
  ],
  vjp: noGradient('its output is an index'),
  samples: [sample(f32(3, 5), { axis: 1, keepdims: false })],
})

const Hardmax = fileOp('Hardmax', {
  inputs: ['input'],
  outputs: ['output'],
  attrs: { axis: attr.int({ default: -1 }) },
  infer: ([x], { axis }) => {
    shapes.axisOf('hardmax', axis, x.shape.length)
    return [{ dtype: sameDType('hardmax', [x], FLOATS), shape: x.shape }]
  },
  vjp: () => [null], // flat wherever it has a derivative
  samples: [sample(f32(4, 9).distinct(), { axis: -1 }), sample(f32(2, 5, 3).distinct(), { axis: 1 })],
})

/** Primitives that files may have. */
export default {
  ArgMin,
  Hardmax,
  ReduceL1,
  ReduceL2,
  ReduceLogSum,
  ReduceLogSumExp,
  ReduceProd,
  ReduceSumSquare,
}
