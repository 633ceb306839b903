import { UserError } from '../../graph/errors.ts'
import { einsum } from '../../ops/einsum.ts'
import type { Operators } from '../operator.ts'

/** Sums of products by ops that have a gradient. */
export const EINSUM: Operators = {
  Einsum(n) {
    const equation = n.attribute('equation', 'string')
    if (equation === undefined) throw new UserError('attribute equation is missing')
    return einsum(
      equation,
      n.inputs.map((_, i) => n.data(i)),
    )
  },
}
