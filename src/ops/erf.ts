import { FLOATS } from '../graph/dtype.ts'
import { one } from '../graph/example.ts'
import { elementwise, op, sameDType } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { type FloatUnaryFn, typed } from '../graph/typed/signatures.ts'
import { abs, add, div, exp, less, maximum, minimum, mul, neg, sign, sub, where } from './elementwise.ts'
import { onesLike } from './fill.ts'

// Coefficients of W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969), as in
// SPECFUN's CALERF, highest power first, rounded to doubles. His second interval ends at 4; up to 6, where erf is 1 in
// double precision, the same quotient still gives erfc to 1e-12 of its value, which is below 2e-8 there.
type Coefficients = readonly [number, number, ...number[]]
const NEAR = 0.46875
const FAR = 6
const NEAR_TOP: Coefficients = [
  0.18577770618460315, 3.1611237438705655, 113.86415415105016, 377.485237685302, 3209.3775891384694,
]
const NEAR_BOTTOM: Coefficients = [
  1, 23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171,
]
const FAR_TOP: Coefficients = [
  2.1531153547440383e-8, 0.5641884969886701, 8.883149794388377, 66.11919063714163, 298.6351381974001,
  881.952221241769, 1712.0476126340707, 2051.0783778260716, 1230.3393547979972,
]
const FAR_BOTTOM: Coefficients = [
  1, 15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903, 3290.7992357334597,
  4362.619090143247, 3439.3676741437216, 1230.3393548037495,
]

/** A polynomial of degree 1 or more by Horner's rule. */
const polynomial = ([first, second, ...rest]: Coefficients, x: AnyTensor): AnyTensor =>
  rest.reduce((sum, c) => add(mul(sum, x), c), add(mul(x, first), second))

const quotient = (top: Coefficients, bottom: Coefficients, x: AnyTensor): AnyTensor =>
  div(polynomial(top, x), polynomial(bottom, x))

const Erf = op('Erf', {
  inputs: ['input'],
  outputs: ['output'],
  infer: ([x]) => [{ dtype: sameDType('erf', [x], FLOATS), shape: x.shape }],
  along: elementwise,
  // d erf(x) = 2/√π exp(−x²) dx
  vjp: ({ x: [x], dy }) => [mul(mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI)), dy)],
  samples: [sample(f32(3, 4))],
  // Both branches are evaluated everywhere, each on its own interval so that neither overflows.
  decompose: ([x]) => {
    const small = minimum(maximum(x, -NEAR), NEAR)
    const near = mul(small, quotient(NEAR_TOP, NEAR_BOTTOM, mul(small, small)))
    const size = abs(x)
    const large = minimum(maximum(size, NEAR), FAR)
    const erfc = mul(exp(neg(mul(large, large))), quotient(FAR_TOP, FAR_BOTTOM, large))
    const far = mul(sign(x), sub(onesLike(erfc), erfc))
    return [where(less(size, NEAR), near, far)]
  },
})
/** The error function 2/√π ∫₀ˣ exp(−t²) dt. */
export const erf: FloatUnaryFn = typed((x: AnyTensor): AnyTensor => Erf.apply([x]), one)
