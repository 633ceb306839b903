import { UserError } from '../graph/errors.ts'
import type { Model } from '../nn/model.ts'
import type { Runtime } from '../runtime/session.ts'
import { type DiagnoseSettings, describeDiagnosis, diagnose } from './diagnose.ts'
import type { Executor, StepInput, StepResult } from './executor.ts'
import type { Reached } from './progress.ts'
import type { Work } from './work.ts'

/** A loss or gradient that is no number. */
export class DivergenceError extends UserError {
  override readonly name = 'DivergenceError'
  /** The last good state, from before the step that went bad; undefined where it could not be had back. */
  readonly reached: Reached | undefined

  constructor(message: string, reached?: Reached) {
    super(message)
    this.reached = reached
  }
}

export const isGood = ({ loss, gradNorm }: StepResult): boolean =>
  Number.isFinite(loss) && Number.isFinite(gradNorm)

const advice = (step: number, epoch: number, lr: number): string =>
  `at step ${step} (epoch ${epoch}); lower the learning rate (${lr.toPrecision(3)} there) or clip the gradient`

/** What an evaluation's loss says of the last update, whose own loss and gradient were fine. */
export const divergedAtLast = (loss: number, step: number, epoch: number, lr: number): DivergenceError =>
  new DivergenceError(`the loss became ${loss} ${advice(step, epoch, lr)}`)

export interface Diverged {
  readonly model: Model
  readonly runtime: Runtime
  readonly settings: DiagnoseSettings
  readonly firstNode: boolean
  /** The run of steps that holds the bad one, and which of them that is, from 0. */
  readonly work: Work
  readonly at: number
  readonly result: StepResult
  readonly epoch: number
}

/** The batch with that number of those in a run. */
function batchAt({ input, label, count, steps, mixed }: Work['batch'], at: number): StepInput {
  const part = <A extends Float32Array | Int32Array>(all: A): A => {
    const size = all.length / steps
    return all.subarray(at * size, (at + 1) * size) as A
  }
  return {
    input: part(input),
    label: part(label),
    count,
    ...(mixed ? { mixed: { label: part(mixed.label), share: part(mixed.share) } } : {}),
  }
}

/**
 * Goes back to the state before a bad step, by doing the steps of its run again that were good, and looks for what went
 * bad. Afterwards the executor has that state.
 */
export async function diverged(executor: Executor, d: Diverged): Promise<DivergenceError> {
  const { work, at, result, epoch } = d
  const { first, rates, batch } = work
  const step = first + at
  const what = Number.isFinite(result.loss)
    ? `the gradient's norm became ${result.gradNorm}`
    : `the loss became ${result.loss}`
  const said = (why = '') => `${what} ${advice(step, epoch, rates[at]!)}${why}`
  if (!(await executor.rewind(first - 1))) return new DivergenceError(said())
  for (let i = 0; i < at; i++) await executor.step(batchAt(batch, i), first + i, rates[i]!)
  const state = await executor.state()
  const reached = { step: step - 1, state }
  const { model, runtime, settings, firstNode } = d
  // It must not hide what it explains.
  const why = await diagnose(
    model,
    runtime,
    executor.layout,
    state.params!,
    batchAt(batch, at),
    step,
    settings,
    { firstNode },
  ).then(describeDiagnosis, (error: Error) => `what went bad could not be found: ${error.message}`)
  return new DivergenceError(said(`. ${why}`), reached)
}
