import { attr } from '../graph/attributes.ts'
import { ShapeError } from '../graph/errors.ts'
import { fileOp } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import { show } from '../graph/shape.ts'

/** Ones on a diagonal of a matrix of the shape of its input, whose elements do not count. */
fileOp('EyeLike', {
  inputs: ['input'],
  outputs: ['output'],
  attrs: {
    dtype: attr.dtype({ default: ({ inputs: [x] }) => x?.dtype ?? 'float32' }),
    k: attr.int({ default: 0 }),
  },
  infer: ([x], { dtype }) => {
    if (x.shape.length !== 2) throw new ShapeError(`eyeLike: takes a matrix, not ${show(x.shape)}`)
    return [{ dtype, shape: x.shape }]
  },
  vjp: () => [null],
  samples: [sample(f32(3, 4), { dtype: 'float32', k: 0 }), sample(f32(3, 4), { dtype: 'int64', k: -1 })],
})
