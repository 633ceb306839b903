import { type Graph, rewrite } from '../graph/graph.ts'
import type { Attrs } from '../graph/node.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { concat, slice } from '../ops/layout.ts'

/** The outputs of a node, by nodes of at most `most` inputs and outputs. */
type Narrow = (inputs: readonly AnyTensor[], attrs: Attrs, most: number) => readonly AnyTensor[]

const NARROW: Readonly<Record<string, Narrow>> = {
  Split: ([x], { axis, sizes }) => {
    let start = 0
    return (sizes as readonly number[]).map(size => {
      start += size
      return slice(x!, axis as number, start - size, start)
    })
  },
  Concat: (inputs, { axis }, most) => {
    let level = inputs
    while (level.length > 1) {
      const groups = Array.from({ length: Math.ceil(level.length / most) }, (_, i) =>
        level.slice(i * most, (i + 1) * most),
      )
      level = groups.map(group => concat(group, axis as number))
    }
    return level
  },
}

/**
 * For targets whose shaders bind few buffers: a split into many pieces becomes a slice for each, a concatenation of
 * many tensors a tree of small ones.
 * @param most largest number of inputs, and of outputs, of a node; at least 2
 */
export const limitFanout = (graph: Graph, most: number): Graph =>
  rewrite(graph, (node, inputs) =>
    Math.max(node.inputs.length, node.outputs.length) > most
      ? NARROW[node.op.type]?.(inputs, node.attrs, most)
      : undefined,
  )
