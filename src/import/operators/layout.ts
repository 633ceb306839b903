import { UserError } from '../../graph/errors.ts'
import { product, show } from '../../graph/shape.ts'
import { reshape, squeeze, unsqueeze } from '../../ops/layout.ts'
import type { Operators } from '../operator.ts'

/** The same elements under another shape, or in another order. */
export const LAYOUT: Operators = {
  Flatten(n) {
    const x = n.data(0)
    const axis = n.int('axis', 1)
    if (Math.abs(axis) > x.shape.length)
      throw new UserError(`axis ${axis} is out of range for ${show(x.shape)}`)
    return reshape(x, [product(x.shape.slice(0, axis)), product(x.shape.slice(axis))])
  },
  Squeeze(n) {
    const x = n.data(0)
    const ones = [...x.shape.keys()].filter(i => x.shape[i] === 1)
    return squeeze(x, n.ints('axes', 1) ?? ones)
  },
  Unsqueeze: n => unsqueeze(n.data(0), n.ints('axes', 1) ?? []),
}
