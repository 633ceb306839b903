import type { Evaluation } from './evaluate.ts'
import type { State } from './executor.ts'
import type { TallySums } from './tally.ts'

/** Where a run stands after a step. */
export interface Progress {
  /** From 1. */
  readonly epoch: number
  readonly epochs: number
  /** Steps done, of the whole run. */
  readonly step: number
  readonly steps: number
  readonly lr: number
  /** Means over the epoch so far. */
  readonly loss: number
  readonly accuracy: number
  readonly imagesPerSecond: number
  /** Of this step alone: its loss, and the global norm of its gradient before clipping. */
  readonly stepLoss: number
  readonly gradNorm: number
}

/** What came of an epoch. With a validation set it is judged there, else on the test set. */
export interface EpochResult {
  readonly epoch: number
  readonly step: number
  readonly lr: number
  /** Means over the epoch's steps, while the parameters were changing. */
  readonly trainLoss: number
  readonly trainAccuracy: number
  readonly valLoss?: number
  readonly valAccuracy?: number
  readonly testLoss?: number
  readonly testAccuracy?: number
  /** Mean over the epoch's steps. */
  readonly gradNorm: number
  /** Of the training steps, without evaluation. */
  readonly imagesPerSecond: number
  /** Share of their time in which the runtime stood still, because the next batch was not there. */
  readonly dataWaitShare: number
  /** Since the start of the run. */
  readonly seconds: number
}

/** What an epoch was judged by: the validation set's figures where there are some, else the test set's. */
export const judged = (e: EpochResult): { set: 'val' | 'test'; loss: number; accuracy: number } =>
  e.valLoss === undefined
    ? { set: 'test', loss: e.testLoss!, accuracy: e.testAccuracy! }
    : { set: 'val', loss: e.valLoss, accuracy: e.valAccuracy! }

/** By what the best epoch is chosen. */
export type Metric = 'accuracy' | 'loss'

/** The best epoch so far. */
export interface Best {
  readonly epoch: number
  readonly step: number
  readonly accuracy: number
  readonly loss: number
}

/** Whether an evaluation is better: by the metric, and at a tie by the other one. */
export const isBetter = (
  a: Pick<Evaluation, 'accuracy' | 'loss'>,
  b: Pick<Evaluation, 'accuracy' | 'loss'>,
  metric: Metric,
): boolean => {
  const accuracy = a.accuracy - b.accuracy
  const loss = b.loss - a.loss
  return (metric === 'accuracy' ? accuracy || loss : loss || accuracy) > 0
}

/** What a run has come to: enough to go on from. */
export interface Reached {
  /** Steps done. */
  readonly step: number
  readonly state: State
  readonly best?: Best
  /** The parameters that the best epoch answered with. */
  readonly bestParams?: Float32Array
  /** Of the epoch that the step is within. */
  readonly tally?: TallySums
}
