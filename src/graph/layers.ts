import { type Graph, isLeaf, nodesOf, usersOf } from './graph.ts'
import type { Node } from './node.ts'
import type { Tensor } from './tensor.ts'

/** What runs into a layer and what it returns. */
export interface LayerEnds {
  /** Tensors that the layer reads and that others compute, the graph's inputs among them; no parameters. */
  readonly inputs: readonly Tensor[]
  /** The last of the layer's tensors that is read outside of it, or is an output of the graph. */
  readonly output: Tensor
}

/**
 * The ends of each layer, by its path such as `blocks.0.attn`. A layer holds the nodes of its own path and of all longer
 * ones (`blocks` those of `blocks.0`); the model itself has no path and is left out.
 */
export function layerEnds(graph: Graph): ReadonlyMap<string, LayerEnds> {
  const nodes = nodesOf(graph).filter(node => !isLeaf(node))
  const users = usersOf(nodes)
  const results = new Set(Object.values(graph.outputs))
  const given = new Set(Object.values(graph.inputs))
  const paths = new Map(nodes.map(node => [node, pathsOf(node.scope)] as const))

  const inputs = new Map<string, Set<Tensor>>()
  const outputs = new Map<string, Tensor>()
  const outside = (path: string) => (other: Node) => !paths.get(other)?.includes(path)
  for (const [node, own] of paths)
    for (const path of own) {
      const read = inputs.get(path) ?? new Set()
      inputs.set(path, read)
      for (const t of node.inputs) if (given.has(t) || (!isLeaf(t.node) && outside(path)(t.node))) read.add(t)
      for (const t of node.outputs)
        if (results.has(t) || users.get(t)?.some(outside(path))) outputs.set(path, t)
    }
  return new Map(
    [...outputs].map(([path, output]) => [path, { inputs: [...(inputs.get(path) ?? [])], output }]),
  )
}

/** `a.b.c` is in the layers a, a.b and a.b.c. */
const pathsOf = (scope: string): string[] => {
  const parts = scope ? scope.split('.') : []
  return parts.map((_, i) => parts.slice(0, i + 1).join('.'))
}
