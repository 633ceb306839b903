import { FLOATS } from '../graph/dtype.ts'
import type { Vjp } from '../graph/node.ts'
import { elementwise, fileOp, sameDType } from '../graph/op.ts'
import { f32, type SampleInput, sample } from '../graph/sample.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { abs, add, cos, div, exp, log, mul, neg, sign, sin, sqrt, sub } from './elementwise.ts'
import { onesLike } from './fill.ts'

/** Functions of angles and their inverses, in radians. Files of other tools have them; models of onnxgrad rarely do. */
type Function1 = (x: AnyTensor) => AnyTensor

// onnxruntime's kernels are of single precision.
const trigonometric = (
  type: string,
  vjp: Vjp<Record<never, never>, readonly ['input']>,
  decompose: Function1,
  x: SampleInput = f32(3, 4),
) =>
  fileOp(type, {
    inputs: ['input'],
    infer: ([x]) => [{ dtype: sameDType(type.toLowerCase(), [x], FLOATS), shape: x.shape }],
    along: elementwise,
    vjp,
    decompose: ([x]) => [decompose(x)],
    lacks: ({ dtype }) => dtype === 'float64',
    samples: [sample(x)],
  })

const square: Function1 = x => mul(x, x)
const fromOne: Function1 = x => sub(onesLike(x), x)

/** x / (1 + √(1 + x²)): the tangent of half the angle. */
const halved: Function1 = x => div(x, add(sqrt(add(square(x), 1)), 1))

/** Terms of x − x³/3 + x⁵/5 − …; after three halvings |x| ≤ tan(π/16), where those left out are below 1e-16. */
const TERMS = 11

function arctangent(x: AnyTensor): AnyTensor {
  const angle = halved(halved(halved(x)))
  const z = square(angle)
  let series = mul(onesLike(z), (-1) ** (TERMS - 1) / (2 * TERMS - 1))
  for (let k = TERMS - 2; k >= 0; k--) series = add(mul(series, z), (-1) ** k / (2 * k + 1))
  return mul(mul(angle, series), 8)
}

/** asin x = 2 atan(x / (1 + √(1 − x²))) */
const arcsine: Function1 = x => mul(arctangent(div(x, add(sqrt(fromOne(square(x))), 1))), 2)

// d tan(x) = (1 + tan²(x)) dx
const Tan = trigonometric(
  'Tan',
  ({ y: [y], dy }) => [mul(dy, add(square(y), 1))],
  x => div(sin(x), cos(x)),
  f32(3, 4).between(-1.4, 1.4),
)

// d asin(x) = dx / √(1 − x²)
const Asin = trigonometric(
  'Asin',
  ({ x: [x], dy }) => [div(dy, sqrt(fromOne(square(x))))],
  arcsine,
  f32(3, 4).between(-0.9, 0.9),
)

// d acos(x) = −dx / √(1 − x²)
const Acos = trigonometric(
  'Acos',
  ({ x: [x], dy }) => [neg(div(dy, sqrt(fromOne(square(x)))))],
  x => add(neg(arcsine(x)), Math.PI / 2),
  f32(3, 4).between(-0.9, 0.9),
)

// d atan(x) = dx / (1 + x²)
const Atan = trigonometric('Atan', ({ x: [x], dy }) => [div(dy, add(square(x), 1))], arctangent)

const hyperbolicSine: Function1 = x => mul(sub(exp(x), exp(neg(x))), 0.5)
const hyperbolicCosine: Function1 = x => mul(add(exp(x), exp(neg(x))), 0.5)

// d sinh(x) = cosh(x) dx
const Sinh = trigonometric('Sinh', ({ x: [x], dy }) => [mul(dy, Cosh.apply([x]))], hyperbolicSine)

// d cosh(x) = sinh(x) dx
const Cosh = trigonometric('Cosh', ({ x: [x], dy }) => [mul(dy, Sinh.apply([x]))], hyperbolicCosine)

// d asinh(x) = dx / √(1 + x²); by |x|, where nothing cancels
const Asinh = trigonometric(
  'Asinh',
  ({ x: [x], dy }) => [div(dy, sqrt(add(square(x), 1)))],
  x => mul(sign(x), log(add(abs(x), sqrt(add(square(x), 1))))),
)

// d acosh(x) = dx / √(x² − 1)
const Acosh = trigonometric(
  'Acosh',
  ({ x: [x], dy }) => [div(dy, sqrt(sub(square(x), 1)))],
  x => log(add(x, sqrt(sub(square(x), 1)))),
  f32(3, 4).between(1.2, 4),
)

// d atanh(x) = dx / (1 − x²)
const Atanh = trigonometric(
  'Atanh',
  ({ x: [x], dy }) => [div(dy, fromOne(square(x)))],
  x => mul(log(div(add(x, 1), fromOne(x))), 0.5),
  f32(3, 4).between(-0.9, 0.9),
)

/** Primitives that files may have. */
export default { Acos, Acosh, Asin, Asinh, Atan, Atanh, Cosh, Sinh, Tan }
