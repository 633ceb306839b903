import type { DType } from '../graph/dtype.ts'
import { type Graph, nodesOf, rewriteTensors, type Tensors } from '../graph/graph.ts'
import { makeNode, type Node } from '../graph/node.ts'
import { zip } from '../graph/present.ts'
import type { Tensor } from '../graph/tensor.ts'
import { onlyOutput } from './match.ts'

/**
 * The same graph computed in another dtype: inputs, parameters (new leaves under the same names), constants and the
 * targets of casts. Constants are kept in double precision in the graph, so nothing is lost on the way to float64.
 */
export function withDType(graph: Graph, from: DType, to: DType): Graph {
  const given = [...Object.values(graph.inputs), ...Object.values(graph.parameters)]
  const leaves = new Map<Tensor, Tensor>()
  for (const t of [...given, ...nodesOf(graph).flatMap(node => (node.inputs.length ? [] : node.outputs))])
    if (t.dtype === from && !leaves.has(t))
      leaves.set(t, onlyOutput(makeNode(t.node.op, [], { ...t.node.attrs, dtype: to }, null)))
  const rule = ({ op, attrs }: Node, inputs: readonly Tensor[]) => {
    const names = Object.keys(attrs).filter(a => op.attrs?.[a]?.kind === 'dtype' && attrs[a] === from)
    if (!names.length) return undefined
    return makeNode(op, inputs, { ...attrs, ...Object.fromEntries(names.map(a => [a, to])) }).outputs
  }
  const outputs = rewriteTensors(Object.values(graph.outputs), rule, leaves)
  const renewed = (tensors: Tensors): Tensors =>
    Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, leaves.get(t) ?? t]))
  return {
    inputs: renewed(graph.inputs),
    parameters: renewed(graph.parameters),
    outputs: Object.fromEntries(zip(Object.keys(graph.outputs), outputs)),
  }
}
