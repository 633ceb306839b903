import { UserError } from '../graph/errors.ts'
import { lookup } from '../graph/present.ts'
import { constantModel, type TrainedModel } from '../nn/trained.ts'
import { add, mul, sub } from '../ops/elementwise.ts'
import { logSoftmax, softmax } from '../ops/norm.ts'
import { sum } from '../ops/reduce.ts'
import { average } from './average.ts'
import { accuracy, classification } from './classification.ts'
import { crossEntropy } from './losses.ts'
import { classesOf, outputOf } from './outputs.ts'
import { defineTask, specification, type Task } from './task.ts'

/** Options of `distillation`. */
export interface DistillationOptions {
  /** The student's output with the logits `[batch, classes]`. @default `logits`, or the only float output */
  readonly output?: string
  /** The teacher's. @default `logits`, or the only float output */
  readonly teacherOutput?: string
  /** Temperature: both logits are divided by it before the comparison. Above 0. @default 2 */
  readonly temperature?: number
  /** Weight of the teacher's term in the loss; the rest is cross-entropy on labels. In [0, 1]. @default 0.5 */
  readonly alpha?: number
}

/**
 * Knowledge distillation (Hinton, Vinyals & Dean 2015): α T² KL(teacher ‖ student) of the probabilities at temperature T,
 * and (1 − α) times the cross-entropy on int32 `label`. The teacher reads the student's inputs by name and is not trained.
 * Metric: `accuracy`. Evaluation is that of `classification`.
 */
export function distillation(
  teacher: TrainedModel,
  { output, teacherOutput, temperature = 2, alpha = 0.5 }: DistillationOptions = {},
): Task<'accuracy'> {
  if (!(temperature > 0)) throw new UserError(`distillation: temperature must be above 0, not ${temperature}`)
  if (!(alpha >= 0 && alpha <= 1)) throw new UserError(`distillation: alpha must be in [0, 1], not ${alpha}`)
  const teach = constantModel(teacher)
  const taught = outputOf('distillation: the teacher', teacher.model, 'logits', teacherOutput)
  return defineTask('distillation', model => {
    const { key, tensor, of } = outputOf('distillation', model, 'logits', output)
    const classes = classesOf('distillation', key, tensor)
    const missing = Object.keys(teacher.model.inputs).find(name => !Object.hasOwn(model.inputs, name))
    if (missing !== undefined)
      throw new UserError(
        `distillation: the teacher reads ${missing}, which is not an input of ${model.name}; inputs are matched by name`,
      )
    return specification({
      targets: { label: { shape: tensor.shape.slice(1, -1), dtype: 'int32', below: classes } },
      loss: ({ input, out, target }) => {
        const student = of(out)
        const given = Object.keys(teacher.model.inputs).map(name => [name, lookup(input, name)])
        const answer = taught.of(teach(Object.fromEntries(given)))
        const [soft, wanted] = [logSoftmax(mul(student, 1 / temperature)), mul(answer, 1 / temperature)]
        const kl = sum(mul(softmax(wanted), sub(logSoftmax(wanted), soft)), -1)
        return add(
          mul(average(kl), alpha * temperature ** 2),
          mul(crossEntropy(student, target.label), 1 - alpha),
        )
      },
      metrics: { accuracy: ({ out, target }) => accuracy(of(out), target.label) },
      evaluation: classification(output ? { output } : {}),
    })
  })
}
