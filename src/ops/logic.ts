import { attr } from '../graph/attributes.ts'
import { FLOATS } from '../graph/dtype.ts'
import { elementwise, fileOp, noGradient, sameDType } from '../graph/op.ts'
import { bool, f32, sample } from '../graph/sample.ts'
import { broadcast } from '../graph/shape.ts'

const none = noGradient('its output is boolean')

const logical = (type: string) =>
  fileOp(type, {
    inputs: ['A', 'B'],
    outputs: ['C'],
    infer: ([a, b]) => [
      {
        dtype: sameDType(type.toLowerCase(), [a, b], ['bool']),
        shape: broadcast(type.toLowerCase(), a.shape, b.shape),
      },
    ],
    along: elementwise,
    vjp: none,
    samples: [sample(bool(3, 8), bool(8))],
  })

const And = logical('And')
const Or = logical('Or')
const Xor = logical('Xor')

const Not = fileOp('Not', {
  inputs: ['X'],
  infer: ([x]) => [{ dtype: sameDType('not', [x], ['bool']), shape: x.shape }],
  along: elementwise,
  vjp: none,
  samples: [sample(bool(3, 4))],
})

const comparison = (type: string, name: string) =>
  fileOp(type, {
    since: 16,
    inputs: ['A', 'B'],
    outputs: ['C'],
    infer: ([a, b]) => {
      sameDType(name, [a, b])
      return [{ dtype: 'bool', shape: broadcast(name, a.shape, b.shape) }]
    },
    along: elementwise,
    vjp: none,
    samples: [sample(f32(3, 4), f32(4))],
  })

const LessOrEqual = comparison('LessOrEqual', 'lessOrEqual')
const GreaterOrEqual = comparison('GreaterOrEqual', 'greaterOrEqual')

const IsNaN = fileOp('IsNaN', {
  inputs: ['X'],
  infer: ([x]) => {
    sameDType('isNaN', [x], FLOATS)
    return [{ dtype: 'bool', shape: x.shape }]
  },
  along: elementwise,
  vjp: none,
  samples: [sample(f32(3, 4))],
})

const IsInf = fileOp('IsInf', {
  inputs: ['X'],
  attrs: {
    negative: attr.bool({ name: 'detect_negative', default: true }),
    positive: attr.bool({ name: 'detect_positive', default: true }),
  },
  infer: ([x]) => {
    sameDType('isInf', [x], FLOATS)
    return [{ dtype: 'bool', shape: x.shape }]
  },
  along: elementwise,
  vjp: none,
  samples: [sample(f32(3, 4), { negative: true, positive: false })],
})

/** Primitives that files may have. */
export default { And, GreaterOrEqual, IsInf, IsNaN, LessOrEqual, Not, Or, Xor }
