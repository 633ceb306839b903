import { attr } from '../graph/attributes.ts'
import { FLOATS } from '../graph/dtype.ts'
import { one } from '../graph/example.ts'
import { elementwise, op, sameDType } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { type FloatUnaryFn, typed } from '../graph/typed/signatures.ts'
import {
  abs,
  add,
  clip,
  div,
  exp,
  greater,
  log,
  maximum,
  mul,
  neg,
  sigmoid,
  sub,
  tanh,
  where,
} from './elementwise.ts'
import { erf } from './erf.ts'

const Gelu = op('Gelu', {
  since: 20,
  inputs: ['X'],
  attrs: { approximate: attr.string<'none'>({ default: 'none' }) },
  infer: ([x]) => [{ dtype: sameDType('gelu', [x], FLOATS), shape: x.shape }],
  along: elementwise,
  // d x Φ(x) = (Φ(x) + x φ(x)) dx
  vjp: ({ x: [x], dy }) => {
    const density = mul(exp(mul(mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI))
    const distribution = mul(add(erf(mul(x, Math.SQRT1_2)), 1), 0.5)
    return [mul(dy, add(distribution, mul(x, density)))]
  },
  // The steps that onnxruntime knows to be a GELU.
  decompose: ([x]) => [mul(mul(x, add(erf(div(x, Math.SQRT2)), 1)), 0.5)],
  // z (1 + erf z) / √2 with z = x / √2: both factors are next to the linear layers, which take them in, and the
  // gradient reads what the forward pass made.
  training: ([x]) => {
    const z = mul(x, Math.SQRT1_2)
    return [mul(mul(z, add(erf(z), 1)), Math.SQRT1_2)]
  },
  samples: [sample(f32(3, 4), { approximate: 'none' })],
})

/**
 * Gaussian error linear unit, x Φ(x) (Hendrycks & Gimpel 2016).
 * @param approximate `'tanh'` for 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))
 */
export const gelu: FloatUnaryFn<[approximate?: 'none' | 'tanh']> = typed(
  (x: AnyTensor, approximate: 'none' | 'tanh' = 'none'): AnyTensor => {
    if (approximate === 'none') return Gelu.apply([x], { approximate })
    const inner = mul(add(x, mul(mul(mul(x, x), x), 0.044715)), Math.sqrt(2 / Math.PI))
    return mul(x, mul(add(tanh(inner), 1), 0.5))
  },
  one,
)

/** x σ(x), also called swish. */
export const silu: FloatUnaryFn = typed((x: AnyTensor): AnyTensor => mul(x, sigmoid(x)), one)

/** x where x > 0, else α x; the gradient at 0 is α. */
export const leakyRelu: FloatUnaryFn<[alpha?: number]> = typed(
  (x: AnyTensor, alpha = 0.01): AnyTensor => where(greater(x, 0), x, mul(x, alpha)),
  one,
)

/** x where x > 0, else α (exp(x) − 1) (Clevert et al. 2016); the gradient at 0 is α. */
export const elu: FloatUnaryFn<[alpha?: number]> = typed(
  (x: AnyTensor, alpha = 1): AnyTensor =>
    // The unused branch must not overflow: its gradient would be 0 · ∞.
    where(greater(x, 0), x, mul(sub(exp(clip(x, Number.NEGATIVE_INFINITY, 0)), 1), alpha)),
  one,
)

/** ln(1 + exp(x)), computed without overflow. */
export const softplus: FloatUnaryFn = typed(
  (x: AnyTensor): AnyTensor => add(maximum(x, 0), log(add(exp(neg(abs(x))), 1))),
  one,
)

/** x / (1 + |x|). */
export const softsign: FloatUnaryFn = typed((x: AnyTensor): AnyTensor => div(x, add(abs(x), 1)), one)

/** x · clip(x + 3, 0, 6) / 6 (Howard et al. 2019); the gradient at ±3 is that of the parabola, x / 3 + 1 / 2. */
export const hardswish: FloatUnaryFn = typed(
  (x: AnyTensor): AnyTensor => mul(x, div(clip(add(x, 3), 0, 6), 6)),
  one,
)
