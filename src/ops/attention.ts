import { constant } from '../graph/leaf.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { type AttentionFn, typed } from '../graph/typed/signatures.ts'
import { greater, mul, where } from './elementwise.ts'
import { fill, transposeLast } from './layout.ts'
import { matmul } from './matmul.ts'
import { softmax } from './norm.ts'
import { tril } from './scan.ts'

/** Scores `[..., T, S]` with −∞ where token i would see one after it. */
export const hideFuture = (scores: AnyTensor): AnyTensor => {
  const visible = greater(tril(fill(1, scores.dtype, scores.shape.slice(-2))), 0)
  return where(visible, scores, constant(Number.NEGATIVE_INFINITY, scores.dtype, []))
}

/**
 * Scaled dot-product attention, softmax(q kᵀ / √d) v (Vaswani et al. 2017).
 * @param q `[..., T, d]` @param k `[..., S, d]` @param v `[..., S, e]` @param causal whether token i sees only 0 … i
 * @returns `[..., T, e]`
 */
export const attention: AttentionFn = typed(
  (
    q: AnyTensor,
    k: AnyTensor,
    v: AnyTensor,
    { causal = false }: { readonly causal?: boolean } = {},
  ): AnyTensor => {
    shapes.attention('attention', q.shape, k.shape, v.shape)
    const scores = mul(matmul(q, transposeLast(k)), 1 / Math.sqrt(q.shape.at(-1) as number))
    if (!causal) return matmul(softmax(scores), v)
    return matmul(softmax(hideFuture(scores)), v)
  },
)
