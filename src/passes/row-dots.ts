import { type Graph, nodesOf, rewrite } from '../graph/graph.ts'
import { equalShape } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { mul } from '../ops/elementwise.ts'
import { reshape, transpose } from '../ops/layout.ts'
import { matmul } from '../ops/matmul.ts'
import { MatMul, Mul, ReduceSum, Transpose } from '../ops/primitives.ts'
import { sum } from '../ops/reduce.ts'
import { elements, match, pairs } from './match.ts'
import { transposed } from './views.ts'

/**
 * Row sums of P ∘ (A Bᵀ) are those of A ∘ (P B): where P B is computed anyway and is smaller than P, they are had for
 * less. In the gradient of attention, softmax's Σⱼ Pᵢⱼ dPᵢⱼ with dP = dO Vᵀ becomes Σ dO ∘ O, over a head's size
 * in place of the tokens (Dao et al. 2022, FlashAttention, B.2).
 */
export function rowDots(graph: Graph): Graph {
  const present = new Set<Tensor>(nodesOf(graph).flatMap(node => node.outputs))
  return rewrite(graph, (node, inputs) => {
    const total = match(node, ReduceSum, inputs)
    if (!total) return undefined
    const [x] = total.inputs
    if (total.attrs.axes.join() !== String(x.shape.length - 1)) return undefined
    for (const [product, p] of pairs(x.node, Mul)) {
      const [a, bt] = match(product.node, MatMul)?.inputs ?? []
      const rank = p.shape.length
      if (!a || !bt || !equalShape(product.shape, p.shape)) continue
      if (a.shape.length !== rank || bt.shape.length !== rank) continue
      const b = transposed(bt, [...Array(rank - 2).keys(), rank - 1, rank - 2])
      if (elements(b.shape) * 2 > elements(p.shape)) continue
      const pb = matmul(p, b)
      if (present.has(pb)) return [reshape(dots(a, pb), total.outputs[0].shape)]
    }
    return undefined
  })
}

/** Σ a ∘ b over the last axis, in the order of axes in which `a` is stored. */
function dots(a: AnyTensor, b: AnyTensor): AnyTensor {
  const turning = match(a.node, Transpose)
  const last = a.shape.length - 1
  if (turning?.attrs.perm[last] !== last) return sum(mul(a, b), -1, true)
  const { perm } = turning.attrs
  const stored = transposed(
    b,
    perm.map((_, axis) => perm.indexOf(axis)),
  )
  return transpose(sum(mul(turning.inputs[0], stored), -1, true), perm)
}
