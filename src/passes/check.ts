import { checkReplaced, type Graph, nodesOf, type Tensors } from '../graph/graph.ts'
import { Input, ParameterOp } from '../graph/leaf.ts'
import type { Tensor } from '../graph/tensor.ts'

const leavesOf = (graph: Graph): Tensor[] =>
  nodesOf(graph).flatMap(({ op, outputs }) => (op === Input || op === ParameterOp ? outputs : []))

const sameKeys = (a: Tensors, b: Tensors): boolean => Object.keys(a).join('\n') === Object.keys(b).join('\n')

/**
 * Checks that a pass kept what a graph is from outside: the names of its inputs, parameters and outputs, the dtype and
 * shape of each output, and that it reads nothing new. Nodes need no check: their types are inferred when they are made.
 * @param dtype whether the pass may change dtypes
 * @throws Error naming the pass and the tensor: such a pass has a fault
 */
export function checkPass(pass: string, before: Graph, after: Graph, dtype: boolean): void {
  if (before === after) return
  const wrong = (what: string): never => {
    throw new Error(`internal: pass ${pass} ${what}`)
  }
  for (const part of ['inputs', 'parameters', 'outputs'] as const)
    if (!sameKeys(before[part], after[part]))
      wrong(
        `changed the names of the ${part} from ${Object.keys(before[part])} to ${Object.keys(after[part])}`,
      )
  if (dtype) return
  for (const [name, t] of Object.entries(before.outputs)) {
    const next = after.outputs[name]
    if (next) checkReplaced(`in pass ${pass}: output ${name}`, t, next)
  }
  const known = new Set([
    ...leavesOf(before),
    ...Object.values(after.inputs),
    ...Object.values(after.parameters),
  ])
  for (const t of leavesOf(after))
    if (!known.has(t))
      wrong(`reads ${t.node.op.type} ${String(t.node.attrs.name)}, which the graph does not have`)
}
