import { attr } from '../graph/attributes.ts'
import { type DType, FLOATS, isFloat, QUANTIZED } from '../graph/dtype.ts'
import { one, two } from '../graph/example.ts'
import { constant, filledWith } from '../graph/leaf.ts'
import type { Vjp } from '../graph/node.ts'
import { elementwise, noGradient, op, sameDType } from '../graph/op.ts'
import { bool, f32, type Sample, type SampleInput, sample } from '../graph/sample.ts'
import { broadcast } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import {
  type BinaryFn,
  type CastFn,
  type CompareFn,
  type FloatUnaryFn,
  typed,
  type UnaryFn,
  type WhereFn,
} from '../graph/typed/signatures.ts'

/** A tensor, or a number that becomes a scalar of the other operand's dtype. */
type Operand = AnyTensor | number

const lift = (value: Operand, like: AnyTensor): AnyTensor =>
  typeof value === 'number' ? constant(value, like.dtype, []) : value

type Plain = Record<never, never>

const binary = (
  type: string,
  name: string,
  vjp: Vjp<Plain, readonly ['A', 'B']>,
  samples: readonly Sample<Plain, readonly [SampleInput, SampleInput]>[],
) =>
  op(type, {
    inputs: ['A', 'B'],
    infer: ([a, b]) => [{ dtype: sameDType(name, [a, b]), shape: broadcast(name, a.shape, b.shape) }],
    along: elementwise,
    vjp,
    samples,
  })

const pair = [sample(f32(3, 5), f32(3, 5)), sample(f32(2, 3, 1, 5), f32(4, 1))]

type UnaryVjp = Vjp<Plain, readonly ['X']>
const unary = (type: string, vjp: UnaryVjp, x: SampleInput = f32(3, 4)) =>
  op(type, { inputs: ['X'], infer: ([x]) => [x], along: elementwise, vjp, samples: [sample(x)] })
const floatUnary = (type: string, vjp: UnaryVjp, x: SampleInput = f32(3, 4)) =>
  op(type, {
    inputs: ['X'],
    infer: ([x]) => [{ dtype: sameDType(type.toLowerCase(), [x], FLOATS), shape: x.shape }],
    along: elementwise,
    vjp,
    samples: [sample(x)],
  })

// d(a + b) = da + db
const Add = binary('Add', 'add', ({ dy }) => [dy, dy], pair)
/** a + b. */
export const add: BinaryFn<'add'> = typed(
  (a: AnyTensor, b: Operand): AnyTensor => Add.apply([a, lift(b, a)]),
  two,
)

// d(a − b) = da − db
const Sub = binary('Sub', 'sub', ({ dy }) => [dy, neg(dy)], pair)
/** a − b. */
export const sub: BinaryFn<'sub'> = typed(
  (a: AnyTensor, b: Operand): AnyTensor => Sub.apply([a, lift(b, a)]),
  two,
)

// d(a b) = b da + a db
const Mul = binary('Mul', 'mul', ({ x: [a, b], dy }) => [mul(dy, b), mul(dy, a)], pair)
/** a b, element by element. */
export const mul: BinaryFn<'mul'> = typed(
  (a: AnyTensor, b: Operand): AnyTensor => Mul.apply([a, lift(b, a)]),
  two,
)

// d(a / b) = da / b − (a/b) db / b
const Div = binary(
  'Div',
  'div',
  ({ x: [, b], y: [y], dy }) => {
    const da = div(dy, b)
    return [da, neg(mul(da, y))]
  },
  [sample(f32(3, 4), f32(4).positive())],
)

/** a / b. */
export const div: BinaryFn<'div'> = typed(
  (a: AnyTensor, b: Operand): AnyTensor => Div.apply([a, lift(b, a)]),
  two,
)

// d(a^b) = b a^(b−1) da + a^b ln(a) db, the second term only where a > 0 (as PyTorch: 0 at a = 0); the first is 0 for
// b = 0, where a^(b−1) may be infinite
const Pow = binary(
  'Pow',
  'pow',
  ({ x: [a, b], y: [y], dy }) => {
    const [zero, one] = [constant(0, a.dtype, []), constant(1, a.dtype, [])]
    const safe = where(greater(a, 0), a, one)
    const slope = mul(b, pow(a, sub(b, 1)))
    return [mul(dy, filledWith(b) ? slope : where(equal(b, 0), zero, slope)), mul(dy, mul(y, log(safe)))]
  },
  [sample(f32(3, 4).positive(), f32(3, 4))],
)

/** a to the power of b; with b = 0 or a = 0 the gradients are those of PyTorch, 0 rather than not a number. */
export const pow: BinaryFn<'pow'> = typed(
  (a: AnyTensor, b: Operand): AnyTensor => Pow.apply([a, lift(b, a)]),
  two,
)

/** Shares a gradient between the larger (smaller) of two operands; at a tie each gets half, as in PyTorch. */
const share = (dy: AnyTensor, mine: AnyTensor, other: AnyTensor, wins: typeof greater): AnyTensor => {
  const half = mul(cast(equal(mine, other), dy.dtype), 0.5)
  return mul(dy, add(cast(wins(mine, other), dy.dtype), half))
}

// d max(a, b) = [a > b] da + [b > a] db
const Max = binary(
  'Max',
  'maximum',
  ({ x: [a, b], dy }) => [share(dy, a, b, greater), share(dy, b, a, greater)],
  [sample(f32(3, 4), f32(4))],
)

/** The larger of two elements; at a tie each gets half of the gradient. */
export const maximum: BinaryFn<'maximum'> = typed(
  (a: AnyTensor, b: Operand): AnyTensor => Max.apply([a, lift(b, a)]),
  two,
)

// d min(a, b) = [a < b] da + [b < a] db
const Min = binary('Min', 'minimum', ({ x: [a, b], dy }) => [share(dy, a, b, less), share(dy, b, a, less)], [
  sample(f32(3, 4), f32(4)),
])

/** The smaller of two elements; at a tie each gets half of the gradient. */
export const minimum: BinaryFn<'minimum'> = typed(
  (a: AnyTensor, b: Operand): AnyTensor => Min.apply([a, lift(b, a)]),
  two,
)

// d(−x) = −dx
const Neg = unary('Neg', ({ dy }) => [neg(dy)])
/** −x. */
export const neg: UnaryFn = typed((x: AnyTensor): AnyTensor => Neg.apply([x]), one)

// d|x| = sign(x) dx
const Abs = unary('Abs', ({ x: [x], dy }) => [mul(dy, sign(x))])
/** |x|; the gradient at 0 is 0. */
export const abs: UnaryFn = typed((x: AnyTensor): AnyTensor => Abs.apply([x]), one)

const Sign = op('Sign', {
  inputs: ['input'],
  infer: ([x]) => [x],
  along: elementwise,
  vjp: () => [null], // flat wherever it has a derivative
  decompose: ([x]) => [sub(cast(greater(x, 0), x.dtype), cast(less(x, 0), x.dtype))],
  samples: [sample(f32(3, 4))],
})

/** −1, 0 or 1; the gradient is 0 everywhere. */
export const sign: UnaryFn = typed((x: AnyTensor): AnyTensor => Sign.apply([x]), one)

const Floor = op('Floor', {
  inputs: ['X'],
  infer: ([x]) => [x],
  along: elementwise,
  vjp: () => [null], // flat wherever it has a derivative
  samples: [sample(f32(3, 4))],
})

/** The largest whole number that is not above x; the gradient is 0 everywhere. */
export const floor: UnaryFn = typed((x: AnyTensor): AnyTensor => Floor.apply([x]), one)

// d exp(x) = exp(x) dx
const Exp = floatUnary('Exp', ({ y: [y], dy }) => [mul(dy, y)])
/** eˣ. */
export const exp: FloatUnaryFn = typed((x: AnyTensor): AnyTensor => Exp.apply([x]), one)

// d ln(x) = dx / x
const Log = floatUnary('Log', ({ x: [x], dy }) => [div(dy, x)], f32(3, 4).positive())
/** The natural logarithm, for x > 0. */
export const log: FloatUnaryFn = typed((x: AnyTensor): AnyTensor => Log.apply([x]), one)

// d√x = dx / (2√x)
const Sqrt = floatUnary('Sqrt', ({ y: [y], dy }) => [div(mul(dy, 0.5), y)], f32(3, 4).positive())
/** √x, for x ≥ 0. */
export const sqrt: FloatUnaryFn = typed((x: AnyTensor): AnyTensor => Sqrt.apply([x]), one)

// d(1/x) = −(1/x)² dx
const Reciprocal = floatUnary(
  'Reciprocal',
  ({ y: [y], dy }) => [neg(mul(dy, mul(y, y)))],
  f32(3, 4).positive(),
)

/** 1 / x. */
export const reciprocal: FloatUnaryFn = typed((x: AnyTensor): AnyTensor => Reciprocal.apply([x]), one)

// d sin(x) = cos(x) dx
const Sin = floatUnary('Sin', ({ x: [x], dy }) => [mul(dy, cos(x))])
/** The sine, of radians. */
export const sin: FloatUnaryFn = typed((x: AnyTensor): AnyTensor => Sin.apply([x]), one)

// d cos(x) = −sin(x) dx
const Cos = floatUnary('Cos', ({ x: [x], dy }) => [neg(mul(dy, sin(x)))])
/** The cosine, of radians. */
export const cos: FloatUnaryFn = typed((x: AnyTensor): AnyTensor => Cos.apply([x]), one)

// d σ(x) = σ(x)(1 − σ(x)) dx
const Sigmoid = floatUnary('Sigmoid', ({ y: [y], dy }) => [mul(dy, mul(y, sub(constant(1, y.dtype, []), y)))])
/** 1 / (1 + e⁻ˣ). */
export const sigmoid: FloatUnaryFn = typed((x: AnyTensor): AnyTensor => Sigmoid.apply([x]), one)

// d tanh(x) = (1 − tanh²(x)) dx
const Tanh = floatUnary('Tanh', ({ y: [y], dy }) => [sub(dy, mul(dy, mul(y, y)))])
/** The hyperbolic tangent. */
export const tanh: FloatUnaryFn = typed((x: AnyTensor): AnyTensor => Tanh.apply([x]), one)

// d relu(x) = [x > 0] dx
const Relu = unary('Relu', ({ y: [y], dy }) => [mul(dy, cast(greater(y, 0), dy.dtype))])
/** x where x > 0, else 0; the gradient at 0 is 0. */
export const relu: UnaryFn = typed((x: AnyTensor): AnyTensor => Relu.apply([x]), one)

const Clip = op('Clip', {
  inputs: ['input'],
  attrs: {
    min: attr.scalar({ input: 1, optional: true }),
    max: attr.scalar({ input: 2, optional: true }),
  },
  infer: ([x]) => [x],
  // d clip(x) = [min ≤ x ≤ max] dx
  vjp: ({ x: [x], y: [y], dy }) => [mul(dy, cast(equal(x, y), dy.dtype))],
  samples: [sample(f32(3, 8), { min: -0.5, max: 0.8 })],
})

/** x, but not below `min` or above `max`; the gradient is 1 between the bounds and on them. */
export const clip: UnaryFn<[min: number, max: number]> = typed(
  (x: AnyTensor, min: number, max: number): AnyTensor => Clip.apply([x], { min, max }),
  t => [t(2, 3), 0, 6],
)

const Cast = op('Cast', {
  inputs: ['input'],
  attrs: { to: attr.dtype() },
  neutral: { saturate: 1 },
  infer: ([x], { to }) => [{ dtype: to, shape: x.shape }],
  along: elementwise,
  // d cast(x) = cast back. Integers are flat between their steps; those of a quantized model stand for real numbers.
  vjp: ({ x: [x], y: [y], dy }) => {
    if (isFloat(x.dtype)) return [isFloat(y.dtype) ? cast(dy, x.dtype) : null]
    return [QUANTIZED.includes(x.dtype) && isFloat(dy.dtype) ? dy : null]
  },
  samples: [
    sample(f32(3, 4), { to: 'float64' }),
    sample(f32(3, 4), { to: 'int64' }),
    sample(bool(5), { to: 'float32' }),
  ],
})

/** Values as another dtype; floats to integers truncate towards zero. */
export const cast: CastFn = typed(
  (x: AnyTensor, to: DType): AnyTensor => (x.dtype === to ? x : Cast.apply([x], { to })),
  t => [t(2, 3), t().dtype === 'float32' ? 'float64' : 'float32'],
)

const comparison = (type: string, name: string) =>
  op(type, {
    inputs: ['A', 'B'],
    infer: ([a, b]) => {
      sameDType(name, [a, b])
      return [{ dtype: 'bool', shape: broadcast(name, a.shape, b.shape) }]
    },
    along: elementwise,
    vjp: noGradient('its output is boolean'),
    samples: [sample(f32(3, 4), f32(4))],
  })

const Equal = comparison('Equal', 'equal')
/** Whether a = b: booleans. */
export const equal: CompareFn<'equal'> = typed(
  (a: AnyTensor, b: Operand): AnyTensor => Equal.apply([a, lift(b, a)]),
  two,
)

const Greater = comparison('Greater', 'greater')
/** Whether a > b: booleans. */
export const greater: CompareFn<'greater'> = typed(
  (a: AnyTensor, b: Operand): AnyTensor => Greater.apply([a, lift(b, a)]),
  two,
)

const Less = comparison('Less', 'less')
/** Whether a < b: booleans. */
export const less: CompareFn<'less'> = typed(
  (a: AnyTensor, b: Operand): AnyTensor => Less.apply([a, lift(b, a)]),
  two,
)

const Where = op('Where', {
  inputs: ['condition', 'X', 'Y'],
  outputs: ['output'],
  infer: ([c, a, b]) => {
    sameDType('where: condition', [{ dtype: 'bool', shape: [] }, c])
    const dtype = sameDType('where', [a, b])
    return [{ dtype, shape: broadcast('where', c.shape, broadcast('where', a.shape, b.shape)) }]
  },
  along: elementwise,
  // d where(c, a, b) = c da + (1 − c) db
  vjp: ({ x: [c], dy }) => {
    const zero = constant(0, dy.dtype, [])
    return [null, where(c, dy, zero), where(c, zero, dy)]
  },
  samples: [sample(bool(3, 4), f32(3, 4), f32(4))],
})

/** `a` where `condition` holds, else `b`; all three broadcast. */
export const where: WhereFn = typed(
  (condition: AnyTensor, a: AnyTensor, b: Operand): AnyTensor => Where.apply([condition, a, lift(b, a)]),
  t => [constant(1, 'bool', [2, 1]), t(2, 3), t(3)],
)

/** Primitives that passes look for. `ops` has functions alone: `export *` leaves this out. */
export default { Add, Cast, Clip, Div, Exp, Mul, Neg, Relu, Sqrt, Sub, Where }
