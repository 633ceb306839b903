import { UserError } from '../graph/errors.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { add, cast, equal, mul, neg } from '../ops/elementwise.ts'
import { arange } from '../ops/fill.ts'
import { reshape } from '../ops/layout.ts'
import { logSoftmax } from '../ops/norm.ts'
import { mean, sum } from '../ops/reduce.ts'

/** Class indices `[B]` as rows of 0 and 1: `[B, classes]` of `dtype`. */
export const oneHot = (labels: AnyTensor, classes: number, dtype: AnyTensor['dtype']): AnyTensor =>
  cast(equal(reshape(labels, [...labels.shape, 1]), arange(classes, labels.dtype)), dtype)

/**
 * Mean cross-entropy −Σ t ln softmax(logits) over a batch, with t = (1 − s) · one-hot + s / classes
 * (Szegedy et al. 2016), as torch.nn.functional.cross_entropy.
 * @param logits `[B, classes]` @param labels int32 or int64 `[B]`
 */
export const crossEntropy = (
  logits: AnyTensor,
  labels: AnyTensor,
  { labelSmoothing = 0 }: { readonly labelSmoothing?: number } = {},
): AnyTensor => {
  if (!(labelSmoothing >= 0 && labelSmoothing < 1))
    throw new UserError(`label smoothing must be at least 0 and below 1, not ${labelSmoothing}`)
  const classes = logits.shape.at(-1) as number
  const target = oneHot(labels, classes, logits.dtype)
  const soft = labelSmoothing ? add(mul(target, 1 - labelSmoothing), labelSmoothing / classes) : target
  return neg(mean(sum(mul(soft, logSoftmax(logits)), -1)))
}
