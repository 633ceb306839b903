import { attr } from '../graph/attributes.ts'
import type { DType } from '../graph/dtype.ts'
import { elementwise, fileOp, noGradient, sameDType } from '../graph/op.ts'
import { sample, whole } from '../graph/sample.ts'
import { broadcast } from '../graph/shape.ts'

const none = noGradient('it works on the bits of integers')
const INTEGERS: readonly DType[] = ['int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'uint64']

const bitwise = (type: string) =>
  fileOp(type, {
    since: 18,
    inputs: ['A', 'B'],
    outputs: ['C'],
    infer: ([a, b]) => [
      { dtype: sameDType(type, [a, b], INTEGERS), shape: broadcast(type, a.shape, b.shape) },
    ],
    along: elementwise,
    vjp: none,
    samples: [sample(whole('int32', 99, 3, 8), whole('int32', 99, 8))],
  })

const BitwiseAnd = bitwise('BitwiseAnd')
const BitwiseOr = bitwise('BitwiseOr')
const BitwiseXor = bitwise('BitwiseXor')

const BitwiseNot = fileOp('BitwiseNot', {
  since: 18,
  inputs: ['X'],
  infer: ([x]) => [{ dtype: sameDType('BitwiseNot', [x], INTEGERS), shape: x.shape }],
  along: elementwise,
  vjp: none,
  samples: [sample(whole('int32', 99, 3, 4))],
})

const BitShift = fileOp('BitShift', {
  inputs: ['X', 'Y'],
  outputs: ['Z'],
  attrs: { direction: attr.string<'LEFT' | 'RIGHT'>({ of: ['LEFT', 'RIGHT'] }) },
  infer: ([a, b]) => [
    {
      dtype: sameDType('BitShift', [a, b], ['uint8', 'uint16', 'uint32', 'uint64']),
      shape: broadcast('BitShift', a.shape, b.shape),
    },
  ],
  along: elementwise,
  vjp: none,
  samples: [sample(whole('uint8', 99, 3, 4), whole('uint8', 7, 4), { direction: 'LEFT' })],
})

/** Primitives that files may have. */
export default { BitShift, BitwiseAnd, BitwiseNot, BitwiseOr, BitwiseXor }
