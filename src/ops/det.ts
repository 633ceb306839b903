import { ShapeError } from '../graph/errors.ts'
import { fileOp, noGradient } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import { show, unify } from '../graph/shape.ts'

fileOp('Det', {
  inputs: ['X'],
  infer: ([x]) => {
    const [rows = 0, columns = 1] = x.shape.slice(-2)
    if (x.shape.length < 2 || unify(rows, columns) === undefined)
      throw new ShapeError(`det: takes square matrices, not ${show(x.shape)}`)
    return [{ dtype: x.dtype, shape: x.shape.slice(0, -2) }]
  },
  vjp: noGradient('that of a determinant is not implemented'),
  samples: [sample(f32(3, 3), {}), sample(f32(2, 4, 4), {})],
})
