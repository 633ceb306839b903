import { checkReplaced, type Graph, nodesOf } from '../graph/graph.ts'
import { Input, ParameterOp } from '../graph/leaf.ts'
import type { Tensor } from '../graph/tensor.ts'

const leavesOf = (graph: Graph): Tensor[] =>
  nodesOf(graph).flatMap(({ op, outputs }) => (op === Input || op === ParameterOp ? outputs : []))

const names = (tensors: Graph['inputs']): string => Object.keys(tensors).join(', ') || 'none'

/**
 * Checks that a pass kept what a graph is from outside: the names of its inputs, parameters and outputs, the dtype and
 * shape of each output, and that it reads nothing new. Nodes need no check: their types are inferred when they are made.
 * @param dtype whether the pass may change dtypes
 * @throws Error naming the tensor: such a pass has a fault
 */
export function checkPass(before: Graph, after: Graph, dtype: boolean): void {
  if (before === after) return
  for (const part of ['inputs', 'parameters', 'outputs'] as const)
    if (names(before[part]) !== names(after[part]))
      throw new Error(
        `internal: changes the names of the ${part} from ${names(before[part])} to ${names(after[part])}`,
      )
  if (dtype) return
  for (const [name, t] of Object.entries(before.outputs)) {
    const next = after.outputs[name]
    if (next) checkReplaced(`output ${name}`, t, next)
  }
  const known = new Set([
    ...leavesOf(before),
    ...Object.values(after.inputs),
    ...Object.values(after.parameters),
  ])
  for (const t of leavesOf(after))
    if (!known.has(t))
      throw new Error(
        `internal: reads ${t.node.op.type} ${String(t.node.attrs.name)}, which the graph does not have`,
      )
}
