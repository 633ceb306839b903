import type { AnyTensor } from '../graph/tensor.ts'
import { add, cast, equal, greater, mul } from '../ops/elementwise.ts'
import { average, ratio } from './average.ts'
import { bceWithLogits } from './losses.ts'
import { outputOf } from './outputs.ts'
import { defineTask, specification, type Task } from './task.ts'

/** Options of `multiLabel`. */
export interface MultiLabelOptions {
  /** The output with a logit per label `[batch, labels]`. @default `logits`, or the only float output */
  readonly output?: string
  /** A label is predicted if its probability is above this. In (0, 1). @default 0.5 */
  readonly threshold?: number
}

/**
 * Any number of labels per example: binary cross-entropy on each logit, against float32 `labels` of 0 and 1 in the shape of the
 * output. Metrics: `accuracy` over all labels, and `f1` of the positive labels, both over the whole data set.
 */
export function multiLabel({ output, threshold = 0.5 }: MultiLabelOptions = {}): Task<'accuracy' | 'f1'> {
  const limit = Math.log(threshold / (1 - threshold))
  return defineTask('multiLabel', model => {
    const { tensor, of } = outputOf('multiLabel', model, 'logits', output)
    const answered = (out: Readonly<Record<string, AnyTensor>>): AnyTensor =>
      cast(greater(of(out), limit), 'float32')
    return specification({
      targets: { labels: { shape: tensor.shape.slice(1) } },
      loss: ({ out, target }) => bceWithLogits(of(out), target.labels),
      metrics: {
        accuracy: ({ out, target: { labels } }) => {
          return average(cast(equal(answered(out), cast(greater(labels, 0.5), 'float32')), 'float32'))
        },
        // F1 = 2 tp / (answered + present)
        f1: ({ out, target: { labels } }) => {
          const yes = answered(out)
          return ratio(mul(mul(yes, labels), 2), add(yes, labels))
        },
      },
    })
  })
}
