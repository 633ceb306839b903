import { ShapeError, UserError } from '../graph/errors.ts'
import { constant } from '../graph/leaf.ts'
import { show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { softplus } from '../ops/activation.ts'
import { abs, add, div, equal, less, mul, neg, sub, where } from '../ops/elementwise.ts'
import { oneHot } from '../ops/gather.ts'
import { equalShape } from '../ops/layout.ts'
import { logSoftmax } from '../ops/norm.ts'
import { mean, sum } from '../ops/reduce.ts'

export interface CrossEntropyOptions {
  /** Share of the target that is spread evenly over all classes (Szegedy et al. 2016). @default 0 */
  readonly labelSmoothing?: number
  /** Label of examples that do not count. */
  readonly ignoreIndex?: number
  /** Weight of each class. */
  readonly classWeights?: readonly number[]
}

/**
 * Mean cross-entropy −Σ w t ln softmax(logits), as torch.nn.functional.cross_entropy: for labels the mean is over the
 * weights of the examples' classes, for probabilities over the examples.
 * @param logits `[B, classes]`
 * @param target labels, int32 or int64 `[B]`, or probabilities of the logits' dtype `[B, classes]`
 */
export const crossEntropy = (
  logits: AnyTensor,
  target: AnyTensor,
  { labelSmoothing = 0, ignoreIndex, classWeights }: CrossEntropyOptions = {},
): AnyTensor => {
  if (!(labelSmoothing >= 0 && labelSmoothing < 1))
    throw new UserError(`label smoothing must be at least 0 and below 1, not ${labelSmoothing}`)
  const classes = logits.shape.at(-1) as number
  if (classWeights && classWeights.length !== classes)
    throw new UserError(`crossEntropy: ${classWeights.length} class weights for ${classes} classes`)
  const soft = target.dtype === logits.dtype
  const hard = soft ? target : oneHot(target, classes, logits.dtype)
  if (!equalShape(hard.shape, logits.shape))
    throw new ShapeError(
      `crossEntropy: target ${show(target.shape)} does not fit logits ${show(logits.shape)}`,
    )
  const spread = labelSmoothing ? add(mul(hard, 1 - labelSmoothing), labelSmoothing / classes) : hard
  const weights = classWeights && constant(classWeights, logits.dtype, [classes])
  const weighted = weights ? mul(spread, weights) : spread
  const each = neg(sum(mul(weighted, logSoftmax(logits)), -1))
  if (soft || (ignoreIndex === undefined && !weights)) return mean(each)
  const counts = weights ? sum(mul(hard, weights), -1) : sum(hard, -1)
  if (ignoreIndex === undefined) return div(sum(each), sum(counts))
  const ignored = equal(target, ignoreIndex)
  const zero = constant(0, logits.dtype, [])
  return div(sum(where(ignored, zero, each)), sum(where(ignored, zero, counts)))
}

/** Mean of (x − t)². */
export const mse = (x: AnyTensor, target: AnyTensor): AnyTensor => {
  const d = sub(x, target)
  return mean(mul(d, d))
}

/** Mean of |x − t|. */
export const l1 = (x: AnyTensor, target: AnyTensor): AnyTensor => mean(abs(sub(x, target)))

/** Mean of d² / 2 where |d| < δ and δ (|d| − δ / 2) elsewhere, d = x − t (Huber 1964). */
export const huber = (x: AnyTensor, target: AnyTensor, delta = 1): AnyTensor => {
  if (!(delta > 0)) throw new UserError(`huber: delta must be above 0, not ${delta}`)
  const d = sub(x, target)
  const size = abs(d)
  const linear = mul(sub(size, delta / 2), delta)
  return mean(where(less(size, delta), mul(mul(d, d), 0.5), linear))
}

/** Mean of −t ln σ(x) − (1 − t) ln(1 − σ(x)) = ln(1 + eˣ) − t x, as torch's binary_cross_entropy_with_logits. */
export const bceWithLogits = (x: AnyTensor, target: AnyTensor): AnyTensor =>
  mean(sub(softplus(x), mul(x, target)))
