import { constant } from '../graph/leaf.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { greater, where } from './elementwise.ts'
import { fill } from './layout.ts'
import { tril } from './scan.ts'

/** Scores `[..., T, S]` with −∞ where token i would see one after it. */
export const hideFuture = (scores: AnyTensor): AnyTensor => {
  const visible = greater(tril(fill(1, scores.dtype, scores.shape.slice(-2))), 0)
  return where(visible, scores, constant(Number.NEGATIVE_INFINITY, scores.dtype, []))
}
