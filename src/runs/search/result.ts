import { nth } from '../../graph/present.ts'
import type { Values } from '../../settings/setting.ts'
import { flatMeasured } from '../../train/progress.ts'
import type { RunStanding } from '../standing.ts'
import type { TuneRecord } from './record.ts'
import { bestUpTo, fields, next, order, type Search, winner } from './search.ts'

/** A tune as far as it has come. */
export interface TuneState {
  readonly record: TuneRecord
  readonly search: Search
  /** The settings that vary, of each trial. */
  readonly draws: readonly Values[]
  readonly trials: readonly RunStanding[]
}

/** A trial's place in the result. */
export interface TrialResult {
  /** Its number, from 0. */
  readonly trial: number
  /** The settings that vary. */
  readonly values: Values
  /** Epochs completed. */
  readonly epochs: number
  /** Loss and metrics on the validation set, of its best epoch, such as `valAccuracy`. */
  readonly [measured: `val${Capitalize<string>}`]: number | undefined
  /** Its best epoch, from 1. */
  readonly bestEpoch?: number
  /** Time of its training steps. */
  readonly seconds: number
  /** `dropped`: others of its rung were better. `open`: not trained as far as planned yet. */
  readonly status: 'winner' | 'finished' | 'dropped' | 'open' | 'failed'
  /** Why it failed. */
  readonly failure?: string
}

/** All trials, the best first: by how far they came, then by what they came to. */
export function trialResults({ search, draws, trials }: TuneState): TrialResult[] {
  const best = next(search, trials) ? undefined : winner(search, trials)
  const field = nth(fields(search, trials), -1)
  const status = (t: number): TrialResult['status'] => {
    if (nth(trials, t).failed) return 'failed'
    if (t === best) return 'winner'
    if (nth(trials, t).ended) return 'finished'
    return field.includes(t) ? 'open' : 'dropped'
  }
  return order(search, trials).map(t => {
    const { epochs, seconds, failure } = nth(trials, t)
    const figures = bestUpTo(nth(trials, t), epochs.length, search.metric)
    return {
      trial: t,
      values: nth(draws, t),
      epochs: epochs.length,
      ...(figures ? { ...flatMeasured({ val: figures.measured }), bestEpoch: figures.epoch } : {}),
      seconds,
      status: status(t),
      ...(failure === undefined ? {} : { failure }),
    }
  })
}
