import { type Graph, nodesOf, rewrite } from '../graph/graph.ts'
import type { Dim, Shape } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { mul } from '../ops/elementwise.ts'
import { randomMask } from '../ops/random.ts'

/** Evaluation: dropout is the identity. */
export const removeDropout = (graph: Graph): Graph =>
  rewrite(graph, (node, inputs) => (node.op.random ? [inputs[0]!] : undefined))

/** Whether a graph draws random numbers and so needs a seed. */
export const isRandom = (graph: Graph): boolean => nodesOf(graph).some(n => n.op.random)

/** Training: each dropout (and each path that is dropped) multiplies by a mask of its own, drawn from the step's `seed`. */
export function seedDropout(graph: Graph, seed: AnyTensor): Graph {
  let site = 0
  return rewrite(graph, (node, inputs) => {
    if (!node.op.random) return undefined
    const x: AnyTensor = inputs[0]!
    const { rate, per } = node.attrs as { rate: number; per: 'element' | 'sample' }
    const shape: Shape = per === 'element' ? x.shape : x.shape.map((d: Dim, i: number) => (i ? 1 : d))
    return [mul(x, randomMask(shape, x.dtype, rate, seed, site++))]
  })
}
