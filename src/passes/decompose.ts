import type { Attrs } from '../graph/attributes.ts'
import type { DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { type Graph, rewrite } from '../graph/graph.ts'

/**
 * Replaces what a target has no kernel for by elementary ops that every target has.
 * @param lacks whether the target has no kernel of an operator for the dtype of its first input and the node's attributes
 * @throws UserError when such an op has no decomposition
 */
export function decompose(graph: Graph, lacks: (op: string, dtype: DType, attrs: Attrs) => boolean): Graph {
  const once = (given: Graph): Graph =>
    rewrite(given, ({ op, attrs }, inputs) => {
      const dtype = inputs[0]?.dtype
      if (!dtype || !lacks(op.type, dtype, attrs)) return undefined
      if (!op.decompose)
        throw new UserError(`${op.type} of ${dtype} does not run on this target; compute it in another dtype`)
      return op.decompose(inputs, attrs)
    })
  // What an op is made of may be lacking in its turn (GELU's erf), but not what that is made of.
  return once(once(graph))
}
