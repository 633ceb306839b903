import { attr } from '../graph/attributes.ts'
import { FLOATS, isFloat } from '../graph/dtype.ts'
import { elementwise, fileOp, sameDType } from '../graph/op.ts'
import { f32, i64, sample } from '../graph/sample.ts'
import { broadcast } from '../graph/shape.ts'
import { div, mul, neg, sub } from './elementwise.ts'

const rounding = (type: string) =>
  fileOp(type, {
    inputs: ['X'],
    infer: ([x]) => [{ dtype: sameDType(type.toLowerCase(), [x], FLOATS), shape: x.shape }],
    along: elementwise,
    vjp: () => [null], // flat wherever it has a derivative
    samples: [sample(f32(3, 4))],
  })

const Ceil = rounding('Ceil')
/** Halves go to the even neighbour. */
const Round = rounding('Round')

const Mod = fileOp('Mod', {
  inputs: ['A', 'B'],
  outputs: ['C'],
  attrs: { fmod: attr.bool({ default: false }) },
  infer: ([a, b]) => [{ dtype: sameDType('mod', [a, b]), shape: broadcast('mod', a.shape, b.shape) }],
  along: elementwise,
  // fmod(a, b) = a − b trunc(a/b): da = dy, db = −trunc(a/b) dy
  vjp: ({ x: [a, b], y: [y], dy }) =>
    isFloat(dy.dtype) ? [dy, neg(mul(dy, div(sub(a, y), b)))] : [null, null],
  samples: [
    sample(f32(3, 8).distinct(), f32(8).positive(), { fmod: true }),
    sample(i64(9, 3, 4).between(-9, 9), i64(9, 4).between(1, 5), { fmod: false }),
  ],
})

/** Primitives that files may have. */
export default { Ceil, Mod, Round }
