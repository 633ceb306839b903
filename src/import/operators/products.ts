import { UserError } from '../../graph/errors.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import { einsum } from '../../ops/einsum.ts'
import { add, mul } from '../../ops/elementwise.ts'
import { transposeLast } from '../../ops/layout.ts'
import { matmul } from '../../ops/matmul.ts'
import type { Operators } from '../operator.ts'

const scaled = (t: AnyTensor, factor: number): AnyTensor => (factor === 1 ? t : mul(t, factor))

/** Sums of products, by ops that have a gradient. */
export const PRODUCTS: Operators = {
  Einsum(n) {
    const equation = n.attribute('equation', 'string')
    if (equation === undefined) throw new UserError('attribute equation is missing')
    return einsum(equation, n.all())
  },
  // alpha A B + beta C, by ops that have a gradient
  Gemm(n) {
    const [a, b, c] = [n.data(0), n.data(1), n.optional(2)]
    const product = matmul(n.flag('transA') ? transposeLast(a) : a, n.flag('transB') ? transposeLast(b) : b)
    const y = scaled(product, n.float('alpha', 1))
    const beta = n.float('beta', 1)
    // Before opset 7 a node said whether C is broadcast.
    if (n.opset < 7) n.flag('broadcast')
    return c ? add(y, scaled(c, beta)) : y
  },
}
