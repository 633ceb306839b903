import { type Graph, nodesOf, rewrite } from '../graph/graph.ts'
import type { Dim, Shape } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { mul } from '../ops/elementwise.ts'
import { Mode } from '../ops/mode.ts'
import { Dropout } from '../ops/primitives.ts'
import { randomMask } from '../ops/random.ts'
import { match } from './match.ts'

/** Whether a graph draws random numbers in a training step and so needs a seed. */
export const isRandom = (graph: Graph): boolean => nodesOf(graph).some(n => n.op.random)

/**
 * A graph as a training step computes it. Each dropout (and each path that is dropped) multiplies by a mask of its own,
 * drawn from the step's `seed`; no marker is left.
 */
export function trainingForm(graph: Graph, seed: AnyTensor): Graph {
  let site = 0
  return rewrite(graph, (node, inputs) => {
    const { op, attrs } = node
    if (op === Mode) return inputs.slice(0, 1)
    const dropout = match(node, Dropout, inputs)
    if (!dropout) return op.resolve?.(inputs, attrs) ?? op.training?.(inputs, attrs)
    const [x] = dropout.inputs
    const { rate, per } = dropout.attrs
    const shape: Shape = per === 'element' ? x.shape : x.shape.map((d: Dim, i: number) => (i ? 1 : d))
    return [mul(x, randomMask(shape, x.dtype, rate, seed, site++))]
  })
}
