import { keysOf } from '../graph/keys.ts'
import type { EpochSums } from './epoch.ts'
import type { Measured } from './measured.ts'
import type { TrainState } from './state.ts'

/** Progress of a training after a step. */
export interface Progress {
  /** From 1. */
  readonly epoch: number
  /** Epochs of the whole run. */
  readonly epochs: number
  /** Steps done, of the whole run. */
  readonly step: number
  /** Steps of the whole run; undefined if the length of an epoch is not known. */
  readonly steps: number | undefined
  /** Base learning rate of this step. */
  readonly lr: number
  /** Means over the epoch so far. */
  readonly mean: Measured
  /** Values of this step alone. */
  readonly last: Measured
  /** Global norm of this step's gradient, before clipping. */
  readonly gradNorm: number
  /** Since the start of the epoch. */
  readonly examplesPerSecond: number
}

/** Results of an epoch. It is evaluated on the validation set, or else on the test set, if there is one. */
export interface EpochResult {
  /** From 1. */
  readonly epoch: number
  /** Steps done, of the whole run. */
  readonly step: number
  /** Base learning rate of the last step. */
  readonly lr: number
  /** Means over the epoch's steps, while the parameters were changing. */
  readonly train: Measured
  /** Loss and metrics on the whole validation set. */
  readonly val?: Measured
  /** Loss and metrics on the whole test set, if there is no validation set. */
  readonly test?: Measured
  /** Mean over the epoch's steps. */
  readonly gradNorm: number
  /** Of the training steps, without evaluation. */
  readonly examplesPerSecond: number
  /** Fraction of the time in which the runtime waited for the next batch. */
  readonly dataWaitShare: number
  /** Time of its training steps, in seconds; of a resumed epoch, of those since. */
  readonly stepSeconds: number
  /** Time of its training steps and its evaluation, in seconds; of a resumed epoch, since then. */
  readonly epochSeconds: number
  /** Time since the start of `train`, in seconds; in `metrics.jsonl`, of the whole run, interruptions left out. */
  readonly seconds: number
}

/** What an epoch was judged by, and on which set; undefined where there is only training data. */
export const judged = ({
  val,
  test,
}: EpochResult): { set: 'val' | 'test'; measured: Measured } | undefined =>
  val ? { set: 'val', measured: val } : test ? { set: 'test', measured: test } : undefined

/** The sets that a run is measured on. */
export type SetName = 'train' | 'val' | 'test'

/** The key of a measure of a set where those of all sets are in one record, such as `valAccuracy`. */
export const measureKey = <S extends SetName>(set: S, measure: string) =>
  `${set}${measure[0]?.toUpperCase()}${measure.slice(1)}` as `${S}${Capitalize<string>}`

/** The set and the measure of a {@link measureKey}; undefined for another key. */
export function measureOf(key: string): { readonly set: SetName; readonly measure: string } | undefined {
  const [, set, first, rest] = /^(train|val|test)([A-Z])(.*)$/.exec(key) ?? []
  return first === undefined ? undefined : { set: set as SetName, measure: `${first.toLowerCase()}${rest}` }
}

/** Loss and metrics of each set in one record, as `trainLoss`, `valAccuracy`: the keys of `metrics.jsonl`. */
export const flatMeasured = (
  sets: Readonly<Partial<Record<SetName, Measured | undefined>>>,
): Readonly<Record<string, number>> =>
  Object.fromEntries(
    keysOf(sets).flatMap(set =>
      Object.entries(sets[set] ?? {}).map(([name, v]) => [measureKey(set, name), v]),
    ),
  )

/** An epoch as a line of `metrics.jsonl`. */
export const flatMetrics = ({
  epoch,
  step,
  lr,
  train,
  val,
  test,
  ...rest
}: EpochResult): Readonly<Record<string, number>> => ({
  ...{ epoch, step, lr },
  ...flatMeasured({ train, val, test }),
  ...rest,
})

/** What decides which epoch is the best. */
export interface Monitor {
  /** `loss`, or the name of a metric. */
  readonly metric: string
  readonly mode: 'min' | 'max'
}

/** Metrics that are better when they are small, by a word of their name. */
const SMALL = /loss|error|mae|mse|rmse|perplexity|distance/i

/** A monitor from a name. @param mode @default `min` for losses and errors by their name, else `max` */
export const monitorOf = (metric: string, mode?: 'min' | 'max'): Monitor => ({
  metric,
  mode: mode ?? (SMALL.test(metric) ? 'min' : 'max'),
})

/** The best epoch so far. */
export interface Best {
  /** From 1. */
  readonly epoch: number
  /** Steps done at its end. */
  readonly step: number
  /** Loss and metrics by which it is the best. */
  readonly measured: Measured
}

/** Whether an epoch is better: by the monitored metric, and at a tie by the loss. */
export function isBetter(a: Measured, b: Measured, { metric, mode }: Monitor): boolean {
  const gain = (mode === 'max' ? 1 : -1) * ((a[metric] ?? Number.NaN) - (b[metric] ?? Number.NaN))
  return (gain || b.loss - a.loss) > 0
}

/** State of a run: enough to resume it. */
export interface RunState extends TrainState {
  /** The best epoch so far. */
  readonly best?: Best | undefined
  /** Parameters of the best epoch, in the model's order. */
  readonly bestParams?: Float32Array | undefined
  /** Of the epoch that the step is within. */
  readonly sums?: EpochSums | undefined
}
