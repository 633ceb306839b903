import * as shapes from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { type AttentionFn, typed } from '../graph/typed/signatures.ts'
import { hideFuture } from './causal.ts'
import { mul } from './elementwise.ts'
import { transposeLast } from './layout.ts'
import { matmul } from './matmul.ts'
import { softmax } from './norm.ts'

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
    const scores = mul(matmul(q, transposeLast(k)), 1 / Math.sqrt(Number(q.shape.at(-1))))
    if (!causal) return matmul(softmax(scores), v)
    return matmul(softmax(hideFuture(scores)), v)
  },
  t => [t(4, 2), t(3, 2), t(3, 5), { causal: true }],
)
