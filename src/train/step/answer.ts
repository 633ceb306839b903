import { zip } from '../../graph/present.ts'
import type { OrtTensors } from '../../runtime/session.ts'
import type { BackwardOutputs } from './backward.ts'
import type { BatchProgram } from './step.ts'

/** What a step answers. */
export interface StepAnswer {
  /** Of the batch, before the update. */
  readonly loss: number
  /** Of metrics that are a function of averages, such as a perplexity; of a single batch. */
  readonly derived: Readonly<Record<string, number>>
  /** Micro-batches that it was put together from; 1 for a single batch. */
  readonly parts: number
  /** Sum and count of each of the task's averages. */
  readonly sums: readonly number[]
  readonly counts: readonly number[]
  /** Global norm of the gradient, before clipping. */
  readonly gradNorm: number
  /** Milliseconds before the step in which the runtime had been given nothing to do. */
  readonly idle: number
}

/** The answer of step i of a run. */
export function answerOf(
  { answers }: Pick<BatchProgram, 'answers'>,
  got: OrtTensors,
  i: number,
  idle: number,
): StepAnswer {
  const value = (name: string): number => Number(got[name]?.data[i] ?? 0)
  const loss = value('loss')
  const { counts, sums } = statisticsOf(answers, value, loss)
  const derived = Object.keys(got).filter(name => name.startsWith('metric.'))
  return {
    loss,
    derived: Object.fromEntries(derived.map(name => [name.slice('metric.'.length), value(name)])),
    parts: 1,
    sums,
    counts,
    gradNorm: value('gradNorm'),
    idle,
  }
}

function statisticsOf(
  { measures, counts: known, lossIs }: BackwardOutputs,
  value: (name: string) => number,
  loss: number,
) {
  const each = zip(measures.statistics, known).map(([{ by }, n], i) => {
    const count = n ?? value(`count.${i}`)
    if (i === lossIs) return { count, sum: loss * count }
    // A scalar that counts per example is answered as it is.
    return { count, sum: by === 'examples' ? value(`sum.${i}`) * count : value(`sum.${i}`) }
  })
  return { counts: each.map(s => s.count), sums: each.map(s => s.sum) }
}
