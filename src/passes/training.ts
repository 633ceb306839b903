import { type Graph, nodesOf, rewrite } from '../graph/graph.ts'
import type { Dim, Shape } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { mul } from '../ops/elementwise.ts'
import { Mode } from '../ops/mode.ts'
import { randomMask } from '../ops/random.ts'

/** Whether a graph draws random numbers in a training step and so needs a seed. */
export const isRandom = (graph: Graph): boolean => nodesOf(graph).some(n => n.op.random)

/**
 * A graph as a training step computes it. Each dropout (and each path that is dropped) multiplies by a mask of its own,
 * drawn from the step's `seed`; no marker is left.
 */
export function trainingForm(graph: Graph, seed: AnyTensor): Graph {
  let site = 0
  return rewrite(graph, ({ op, attrs }, inputs) => {
    if (op === Mode) return inputs.slice(0, 1)
    if (!op.random) return op.resolve?.(inputs, attrs) ?? op.training?.(inputs, attrs)
    const x: AnyTensor = inputs[0]!
    const { rate, per } = attrs as { rate: number; per: 'element' | 'sample' }
    const shape: Shape = per === 'element' ? x.shape : x.shape.map((d: Dim, i: number) => (i ? 1 : d))
    return [mul(x, randomMask(shape, x.dtype, rate, seed, site++))]
  })
}
