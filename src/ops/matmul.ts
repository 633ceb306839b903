import { elementwise, op, sameDType } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { type LinearFn, type MatMulFn, typed } from '../graph/typed/signatures.ts'
import { add } from './elementwise.ts'
import { reshape, transpose, transposeLast } from './layout.ts'

/** All leading dims as one. */
const rows = (x: AnyTensor): AnyTensor => reshape(x, [shapes.product(x.shape.slice(0, -1)), x.shape.at(-1)])

const MatMul = op('MatMul', {
  inputs: ['A', 'B'],
  infer: ([a, b]) => [
    {
      dtype: sameDType('matmul', [a, b]),
      shape: shapes.matmul('matmul', a.shape, b.shape),
    },
  ],
  along(axis, [a, b]) {
    const [left, right] = [a.shape.length, b.shape.length]
    if (left === 1 || right === 1) return undefined
    const rank = Math.max(left, right)
    if (axis === rank - 1) return [null, right - 1]
    if (axis === rank - 2) return [left - 2, null]
    return elementwise(axis, [a, b])
  },
  // y = a b: da = dy bᵀ, db = aᵀ dy
  vjp: ({ x: [a, b], dy }) => {
    if (a.shape.length === 1 || b.shape.length === 1) return vectorVjp(a, b, dy)
    const da = matmul(dy, transposeLast(b))
    // One product over all rows instead of one for each batch element and a sum.
    if (b.shape.length === 2 && a.shape.length > 2) return [da, matmul(transposeLast(rows(a)), rows(dy))]
    return [da, matmul(transposeLast(a), dy)]
  },
  samples: [
    sample(f32(5, 7), f32(7, 3)),
    sample(f32(2, 3, 5, 7), f32(2, 3, 7, 4)),
    sample(f32(2, 3, 5, 7), f32(3, 7, 4)),
    sample(f32(2, 3, 5, 7), f32(7, 4)),
    sample(f32(2, 5, 7), f32(7)),
    sample(f32(7), f32(2, 7, 5)),
    sample(f32(7), f32(7)),
  ],
  macs: ([a], [y]) => shapes.productMacs(a.shape, y.shape),
})

/** Matrix product as numpy.matmul: 1-D operands gain and lose a dim, leading dims broadcast. */
export const matmul: MatMulFn = typed(
  (a: AnyTensor, b: AnyTensor): AnyTensor => MatMul.apply([a, b]),
  t => [t(2, 3), t(3, 4)],
)

/** A 1-D operand is a matrix with one row (left) or one column (right). */
function vectorVjp(a: AnyTensor, b: AnyTensor, dy: AnyTensor): [AnyTensor, AnyTensor] {
  const left = a.shape.length === 1
  const right = b.shape.length === 1
  const a2 = left ? reshape(a, [1, a.shape[0]]) : a
  const b2 = right ? reshape(b, [b.shape[0], 1]) : b
  const lead = dy.shape.slice(0, dy.shape.length - (left ? 0 : 1) - (right ? 0 : 1))
  const dy2 = reshape(dy, [...lead, left ? 1 : a.shape.at(-2), right ? 1 : b.shape.at(-1)])
  const da = matmul(dy2, transposeLast(b2))
  const db = matmul(transposeLast(a2), dy2)
  return [
    left ? reshape(da, [...da.shape.slice(0, -2), a.shape[0]]) : da,
    right ? reshape(db, db.shape.slice(0, -1)) : db,
  ]
}

/**
 * x Wᵀ + b, as torch.nn.functional.linear.
 * @param x `[..., in]` @param weight `[out, in]` @param bias `[out]`
 */
export const linear: LinearFn = typed(
  (x: AnyTensor, weight: AnyTensor, bias?: AnyTensor): AnyTensor => {
    shapes.linear('linear', x.shape, weight.shape, bias?.shape)
    const y = matmul(x, transpose(weight, [1, 0]))
    return bias ? add(y, bias) : y
  },
  t => [t(2, 3), t(4, 3), t(4)],
)

/** Parts that passes look for. `ops` has functions alone: `export *` leaves this out. */
export default { MatMul, rows }
