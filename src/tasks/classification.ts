import { UserError } from '../graph/errors.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { add, cast, equal, mul, sub } from '../ops/elementwise.ts'
import { argmax, oneHot } from '../ops/gather.ts'
import { reshape } from '../ops/layout.ts'
import { max } from '../ops/reduce.ts'
import { topK } from '../ops/top-k.ts'
import { average } from './average.ts'
import { type CrossEntropyOptions, crossEntropy } from './losses.ts'
import { classesOf, outputOf } from './outputs.ts'
import { type AnyContext, type AnySpec, defineTask, specification, type Task } from './task.ts'

/** Options of `classification`. */
export interface ClassificationOptions extends Omit<CrossEntropyOptions, 'ignoreIndex'> {
  /** The output with the logits `[batch, …, classes]`. @default `logits`, or the only float output */
  readonly output?: string
  /**
   * Targets of a batch: `labels`, an int32 `label` per row of logits; `probabilities`, a float32 `label` of the logits'
   * shape; `mixed`, labels with a second label (`mixedLabel`) and the weight of the first (`mixedShare`, float32), as mixup
   * and cutmix produce them. @default 'labels'
   */
  readonly targets?: 'labels' | 'probabilities' | 'mixed'
  /** Further metrics `top2`, `top5` …: the fraction of labels among the k highest logits. @default none */
  readonly topK?: readonly number[]
}

/** Fraction of the labels with the highest logit. @param label int32 or int64 of the logits' shape without the last dim */
export const accuracy = (logits: AnyTensor, label: AnyTensor): AnyTensor =>
  average(cast(equal(argmax(logits, -1), cast(label, 'int64')), 'float32'))

/** Fraction of labels among the k highest logits. */
const topAccuracy = (logits: AnyTensor, label: AnyTensor, k: number): AnyTensor => {
  const [, indices] = topK(logits, k)
  const own = reshape(cast(label, 'int64'), [...label.shape, 1])
  return average(max(cast(equal(indices, own), 'float32'), -1))
}

/** λ · one-hot(label) + (1 − λ) · one-hot(the other label): targets of examples mixed in pairs (Zhang et al. 2018). */
const mixture = (logits: AnyTensor, label: AnyTensor, other: AnyTensor, share: AnyTensor): AnyTensor => {
  const classes: number = logits.shape.at(-1)
  const hot = (l: AnyTensor): AnyTensor => oneHot(l, classes, logits.dtype)
  const each = cast(reshape(share, [-1, 1]), logits.dtype)
  return add(hot(other), mul(each, sub(hot(label), hot(other))))
}

/**
 * Classification by cross-entropy, with `accuracy` (and `top5` …) as metrics. Evaluation uses plain cross-entropy on
 * labels, without smoothing and class weights.
 */
export function classification(options: ClassificationOptions = {}): Task {
  const { targets = 'labels', output, topK: tops = [], labelSmoothing, classWeights } = options
  const plain = targets === 'labels' && !labelSmoothing && !classWeights
  const evaluation: { evaluation?: Task } =
    plain || targets === 'probabilities'
      ? {}
      : { evaluation: classification({ ...(output ? { output } : {}), topK: tops }) }
  const name = 'classification'
  return defineTask(name, model => {
    const { key, tensor: logits, of } = outputOf(name, model, 'logits', output)
    const classes = classesOf(name, key, logits)
    const places = logits.shape.slice(1, -1)
    if (targets === 'mixed' && places.length)
      throw new UserError(`${name}: mixup and cutmix need one label per example`)
    const wide = tops.find(k => !Number.isInteger(k) || k < 1 || k > classes)
    if (wide !== undefined)
      throw new UserError(`${name}: topK ${wide} must be a whole number from 1 to the ${classes} classes`)
    const label = { shape: places, dtype: 'int32', below: classes } as const
    const declared: Readonly<Record<typeof targets, AnySpec<'label'>['targets']>> = {
      labels: { label },
      probabilities: { label: { shape: logits.shape.slice(1) } },
      mixed: { label, mixedLabel: label, mixedShare: { shape: places } },
    }
    const weighting = {
      ...(labelSmoothing ? { labelSmoothing } : {}),
      ...(classWeights ? { classWeights } : {}),
    }
    const hard = ({ label }: AnyContext<'label'>['target']): AnyTensor =>
      targets === 'probabilities' ? argmax(label, -1) : label
    const within = (k: number) => (c: AnyContext<'label'>) => topAccuracy(of(c.out), hard(c.target), k)
    return specification<'label', string>({
      targets: declared[targets],
      loss: ({ out, target }) => {
        const { label, mixedLabel, mixedShare } = target
        const wanted = mixedLabel && mixedShare ? mixture(of(out), label, mixedLabel, mixedShare) : label
        return crossEntropy(of(out), wanted, weighting)
      },
      metrics: {
        accuracy: c => accuracy(of(c.out), hard(c.target)),
        ...Object.fromEntries(tops.map(k => [`top${k}`, within(k)])),
      },
      ...evaluation,
    })
  })
}
