import { type Graph, rewrite } from '../graph/graph.ts'

/**
 * For targets whose shaders bind few buffers: a split into many pieces becomes a slice for each, a concatenation of
 * many tensors a tree of small ones. What an op says of itself with `narrow`.
 * @param most largest number of inputs, and of outputs, of a node; at least 2
 */
export const limitFanout = (graph: Graph, most: number): Graph =>
  rewrite(graph, ({ op, inputs, outputs, attrs }, given) =>
    Math.max(inputs.length, outputs.length) > most ? op.narrow?.(given, attrs, most) : undefined,
  )
