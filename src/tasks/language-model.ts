import { cast, equal, exp, mul, neg } from '../ops/elementwise.ts'
import { argmax, oneHot } from '../ops/gather.ts'
import { logSoftmax } from '../ops/norm.ts'
import { sum } from '../ops/reduce.ts'
import { average } from './average.ts'
import { classesOf, outputOf } from './outputs.ts'
import { type AnyContext, type AnySpec, defineTask, type Task } from './task.ts'

/** Options of `languageModel`. */
export interface LanguageModelOptions {
  /** The output with the logits of each next token `[batch, T, vocabulary]`. @default `logits`, or the only float output */
  readonly output?: string
  /** Whether a batch has a `mask` of the labels' shape: 1 where a label counts, 0 for padding. @default false */
  readonly mask?: boolean
}

/**
 * Next-token prediction: cross-entropy on int32 `label` `[batch, T]`, averaged over all tokens that are not masked, across rows of
 * any length. Metrics: `accuracy`, and in evaluation `perplexity`, the exponential of the loss.
 */
export function languageModel({ output, mask = false }: LanguageModelOptions = {}): Task<'accuracy'> {
  const specOf =
    (judging: boolean) =>
    (model: Parameters<Task['trace']>[0]): AnySpec<'label', 'accuracy'> => {
      const { key, tensor, of } = outputOf('languageModel', model, 'logits', output)
      const classes = classesOf('languageModel', key, tensor)
      const places = tensor.shape.slice(1, -1)
      const loss = ({ out, target: { label, mask: weights } }: AnyContext<'label'>) => {
        const logits = of(out)
        const hot = oneHot(label, classes, logits.dtype)
        return average(neg(sum(mul(hot, logSoftmax(logits)), -1)), weights)
      }
      return {
        targets: {
          label: { shape: places, dtype: 'int32', below: classes },
          ...(mask ? { mask: { shape: places } } : {}),
        },
        loss,
        metrics: {
          accuracy: ({ out, target: { label, mask: weights } }) =>
            average(cast(equal(argmax(of(out), -1), cast(label, 'int64')), 'float32'), weights),
          ...(judging ? { perplexity: (c: AnyContext<'label'>) => exp(loss(c)) } : {}),
        },
        ...(judging ? {} : { evaluation: defineTask('languageModel', specOf(true)) }),
      }
    }
  return defineTask('languageModel', specOf(false))
}
