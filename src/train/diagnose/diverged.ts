import { nth } from '../../graph/present.ts'
import type { Runtime } from '../../runtime/session.ts'
import { DivergenceError, divergenceMessage } from '../divergence.ts'
import type { RunState } from '../progress.ts'
import type { StepAnswer } from '../step/answer.ts'
import type { Examples } from '../step/examples.ts'
import { ONLY } from '../step/state.ts'
import type { Trainer } from '../trainer.ts'
import type { Work } from '../work.ts'
import { describeDiagnosis, diagnose } from './diagnose.ts'

export interface DivergedIn {
  readonly trainer: Trainer
  readonly runtime: Runtime
  readonly seed: number
  readonly findNode: boolean
}

/** The batches of step i of some work: micro-batches, or one. */
function batchesAt(work: Work, i: number): readonly Examples[] {
  if ('micro' in work) return work.micro
  const { arrays, sizes, steps } = work.examples
  if (steps === 1) return [{ arrays, sizes }]
  const own = Object.entries(arrays).map(([name, { data, dims }]) => {
    const size = data.length / steps
    return [name, { data: data.subarray(i * size, (i + 1) * size), dims: dims.slice(1) }]
  })
  return [{ arrays: Object.fromEntries(own), sizes }]
}

/**
 * Restores the state before a failed step by repeating the good steps of its run, and looks for the cause. Afterwards the trainer
 * has that state.
 */
export async function diverged(
  { trainer, runtime, seed, findNode }: DivergedIn,
  bad: { readonly work: Work; readonly at: number; readonly answer: StepAnswer; readonly epoch: number },
  more: Pick<RunState, 'best' | 'bestParams' | 'sums'>,
): Promise<DivergenceError> {
  const { work, at, answer, epoch } = bad
  const step = work.first + at
  const said = divergenceMessage(answer, `at step ${step} (epoch ${epoch})`, nth(work.rates, at))
  if (!(await trainer.rewind(ONLY, work.first - 1))) return new DivergenceError(said)
  for (const [i, rate] of work.rates.slice(0, at).entries())
    for (const examples of batchesAt(work, i).slice(0, 1))
      await trainer.run(ONLY, { ...examples, steps: 1 }, [rate])
  const state = await trainer.state()
  // A failure here must not hide the original error.
  const why = await diagnose(trainer, runtime, state.vectors, batchesAt(work, at), step, {
    seed,
    findNode,
  }).then(describeDiagnosis, (error: Error) => `the cause could not be found: ${error.message}`)
  return new DivergenceError(`${said}. ${why}`, { ...state, ...more })
}
