import type { Measured } from '../train/measured.ts'

/** What became of a run among others. */
export interface Standing {
  /** Loss and metrics on the validation set after each completed epoch, from the first. */
  readonly epochs: readonly Measured[]
  /** Whether nothing is left to do: all epochs are completed, or its patience has ended it. */
  readonly ended: boolean
  /** Whether it ended with an error. */
  readonly failed: boolean
}

/** Loss and metrics of a completed run by set, such as `testAccuracy`, under the parameters that are its result. */
export type Final = Readonly<Record<string, number>>

/** One of several runs, as its folder shows it. */
export interface RunStanding extends Standing {
  /** Time of its training steps. */
  readonly seconds: number
  /** Of a run that is completed. */
  readonly final?: Final
  /** Of a completed run: whether its file gives its numbers on every runtime, where that was checked. */
  readonly verified?: boolean
  /** Why it failed. */
  readonly failure?: string
}
