import { UserError } from '../graph/errors.ts'
import type { RunState } from './progress.ts'
import type { StepAnswer } from './step/answer.ts'

/** A loss or gradient that is not finite. */
export class DivergenceError extends UserError {
  /** `DivergenceError`. */
  override readonly name = 'DivergenceError'
  /** The last good state, from before the step that failed; undefined if it could not be restored. */
  readonly state: RunState | undefined

  constructor(message: string, state?: RunState) {
    super(message)
    this.state = state
  }
}

export const isSound = ({ loss, gradNorm }: StepAnswer): boolean =>
  Number.isFinite(loss) && Number.isFinite(gradNorm)

const advice = (where: string, lr: number): string =>
  `${where}; lower the learning rate (it was ${lr.toPrecision(3)}) or clip the gradient`

/** What went wrong in a step, and what to do. @param where such as `at step 12` */
export const divergenceMessage = (
  { loss, gradNorm }: Pick<StepAnswer, 'loss' | 'gradNorm'>,
  where: string,
  lr: number,
): string =>
  `${Number.isFinite(loss) ? `the gradient's norm became ${gradNorm}` : `the loss became ${loss}`} ${advice(where, lr)}`

/** A non-finite loss in an evaluation, after an update whose own loss and gradient were finite. */
export const divergedAtLast = (loss: number, step: number, epoch: number, lr: number): DivergenceError =>
  new DivergenceError(`the loss became ${loss} ${advice(`at step ${step} (epoch ${epoch})`, lr)}`)
