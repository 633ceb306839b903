import type { DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { type Graph, rewrite } from '../graph/graph.ts'
import type { Attrs } from '../graph/node.ts'

/**
 * Replaces what a target has no kernel for by elementary ops that every target has.
 * @param lacks whether the target has no kernel of an operator for the dtype of its first input and the node's attributes
 * @throws UserError when such an op has no decomposition
 */
export const decompose = (graph: Graph, lacks: (op: string, dtype: DType, attrs: Attrs) => boolean): Graph =>
  rewrite(graph, (node, inputs) => {
    const dtype = inputs[0]?.dtype
    if (!dtype || !lacks(node.op.type, dtype, node.attrs)) return undefined
    if (!node.op.decompose)
      throw new UserError(
        `${node.op.type} of ${dtype} does not run on this target; compute it in another dtype`,
      )
    return node.op.decompose(inputs, node.attrs)
  })
