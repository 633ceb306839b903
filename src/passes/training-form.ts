import { type Graph, rewrite, type Tensors } from '../graph/graph.ts'
import type { Tensor } from '../graph/tensor.ts'

/** Prefix of the outputs that hold new values of buffers. */
const BUFFER = 'buffer.'

/**
 * Ops that work otherwise while training (batch norm) take that form; what they make of their buffers becomes outputs
 * `buffer.<parameter>`.
 */
export function trainingForm(graph: Graph): Graph {
  const updates = new Map<Tensor, Tensor>()
  const trained = rewrite(graph, (node, inputs) => {
    const form = node.op.training?.(inputs, node.attrs)
    for (const [i, value] of form?.buffers ?? []) updates.set(node.inputs[i]!, value)
    return form?.outputs
  })
  const buffers = Object.entries(graph.parameters).flatMap(([name, p]) => {
    const value = updates.get(p)
    return value ? [[BUFFER + name, value] as const] : []
  })
  return { ...trained, outputs: { ...trained.outputs, ...Object.fromEntries(buffers) } }
}

/** New values of buffers among a graph's outputs, by the parameter's name. */
export const bufferUpdates = (outputs: Tensors): Map<string, Tensor> =>
  new Map(
    Object.entries(outputs).flatMap(([name, t]) =>
      name.startsWith(BUFFER) ? [[name.slice(BUFFER.length), t] as const] : [],
    ),
  )
