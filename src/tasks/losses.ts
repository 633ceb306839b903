import { ShapeError, UserError } from '../graph/errors.ts'
import { example, one } from '../graph/example.ts'
import { constant } from '../graph/leaf.ts'
import { sameShape, show } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { softplus } from '../ops/activation.ts'
import { abs, add, equal, less, mul, neg, sub, where } from '../ops/elementwise.ts'
import { oneHot } from '../ops/gather.ts'
import { logSoftmax } from '../ops/norm.ts'
import { sum } from '../ops/reduce.ts'
import { average, ratio } from './average.ts'

/** Losses do not broadcast: `[B, 1]` against `[B]` would compare each with all. */
function demandEqual(name: string, x: Tensor, target: Tensor): void {
  if (!sameShape(x.shape, target.shape))
    throw new ShapeError(
      `${name}: target ${show(target.shape)} differs from ${show(x.shape)}; both must have the same shape: reshape one of them`,
    )
}

/** Options of `crossEntropy`. */
export interface CrossEntropyOptions {
  /** Fraction of the target spread evenly over all classes (Szegedy et al. 2016). In [0, 1). @default 0 */
  readonly labelSmoothing?: number
  /** Label of examples to ignore. */
  readonly ignoreIndex?: number
  /** Weight of each class. */
  readonly classWeights?: readonly number[]
}

/**
 * Mean cross-entropy −Σ w t ln softmax(logits), like torch.nn.functional.cross_entropy: labels are averaged with the
 * weights of their classes, probabilities over the examples.
 * @param logits `[B, ..., classes]`, the classes last
 * @param target labels, int32 or int64 `[B, ...]`, or probabilities of the logits' dtype `[B, ..., classes]`
 * @throws ShapeError when the target does not fit the logits
 */
export const crossEntropy = (
  logits: Tensor,
  target: Tensor,
  { labelSmoothing = 0, ignoreIndex, classWeights }: CrossEntropyOptions = {},
): AnyTensor => {
  const z: AnyTensor = logits
  const t: AnyTensor = target
  if (!(labelSmoothing >= 0 && labelSmoothing < 1))
    throw new UserError(`label smoothing must be at least 0 and below 1, not ${labelSmoothing}`)
  const classes = z.shape.at(-1)
  if (typeof classes !== 'number' || classes < 1)
    throw new ShapeError(
      `crossEntropy: the last dim of logits ${show(z.shape)} must be a known number of classes`,
    )
  if (classWeights && classWeights.length !== classes)
    throw new UserError(`crossEntropy: ${classWeights.length} class weights for ${classes} classes`)
  const soft = t.dtype === z.dtype
  const hard = soft ? t : oneHot(t, classes, z.dtype)
  if (!sameShape(hard.shape, z.shape))
    throw new ShapeError(`crossEntropy: target ${show(t.shape)} does not fit logits ${show(z.shape)}`)
  const spread = labelSmoothing ? add(mul(hard, 1 - labelSmoothing), labelSmoothing / classes) : hard
  const weights = classWeights && constant(classWeights, z.dtype, [classes])
  const weighted = weights ? mul(spread, weights) : spread
  const each = neg(sum(mul(weighted, logSoftmax(z)), -1))
  if (soft || (ignoreIndex === undefined && !weights)) return average(each)
  const counts = weights ? sum(mul(hard, weights), -1) : sum(hard, -1)
  if (ignoreIndex === undefined) return ratio(each, counts)
  const ignored = equal(t, ignoreIndex)
  const zero = constant(0, z.dtype, [])
  return ratio(where(ignored, zero, each), where(ignored, zero, counts))
}

/** What an elementwise loss may be weighted by: a tensor of its operands' shape, such as a mask. */

const elementwise =
  (name: string, each: (x: AnyTensor, target: AnyTensor) => AnyTensor) =>
  (x: Tensor, target: Tensor, weights?: Tensor): AnyTensor => {
    demandEqual(name, x, target)
    return average(each(x, target), weights)
  }

/** Mean of (x − t)². All of the same shape, the optional weights too. @throws ShapeError when they differ */
export const mse = elementwise('mse', (x, target) => {
  const d = sub(x, target)
  return mul(d, d)
})

/** Mean of |x − t|. All of the same shape, the optional weights too. @throws ShapeError when they differ */
export const l1 = elementwise('l1', (x, target) => abs(sub(x, target)))

/**
 * Mean of d² / 2 where |d| < δ and δ (|d| − δ / 2) elsewhere, d = x − t (Huber 1964), as torch's huber_loss.
 * @param delta above 0 @throws ShapeError when the shapes differ
 */
export const huber = (x: Tensor, target: Tensor, delta = 1, weights?: Tensor): AnyTensor => {
  if (!(delta > 0)) throw new UserError(`huber: delta must be above 0, not ${delta}`)
  return elementwise('huber', (a, b) => {
    const d = sub(a, b)
    const size = abs(d)
    const linear = mul(sub(size, delta / 2), delta)
    return where(less(size, delta), mul(mul(d, d), 0.5), linear)
  })(x, target, weights)
}

/**
 * Mean of −t ln σ(x) − (1 − t) ln(1 − σ(x)) = ln(1 + eˣ) − t x, as torch's binary_cross_entropy_with_logits.
 * @param x logits @param target in [0, 1], of the shape of `x` @throws ShapeError when the shapes differ
 */
export const bceWithLogits = elementwise('bceWithLogits', (x, target) => sub(softplus(x), mul(x, target)))

/** Σ x²: a regularizer, for one tensor or several. */
export const l2 = (...tensors: readonly Tensor[]): AnyTensor =>
  tensors.map(t => sum(mul(t, t))).reduce((a, b) => add(a, b))

for (const loss of [mse, l1, huber, bceWithLogits]) example(loss, t => [t(4, 3), t(4, 3)])
example(crossEntropy, t => [t(4, 3), constant(0, 'int64', [4])])
example(l2, one)
