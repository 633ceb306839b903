import { nth } from '../graph/present.ts'
import type { TuneRecord } from './record.ts'
import type { Run } from './run.ts'
import { bestUpTo, fields, next, order, type Search, winner } from './search.ts'
import type { Values } from './space.ts'

/** A tune as far as it has come. */
export interface TuneState {
  readonly record: TuneRecord
  readonly search: Search
  /** The settings that vary, of each trial. */
  readonly draws: readonly Values[]
  readonly trials: readonly Run[]
}

/** A trial's place in the result. */
export interface TrialResult {
  readonly trial: number
  readonly values: Values
  readonly epochs: number
  /** On the validation set, of its best epoch. */
  readonly valAccuracy?: number
  readonly valLoss?: number
  readonly bestEpoch?: number
  readonly seconds: number
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
      ...(figures ? { valAccuracy: figures.accuracy, valLoss: figures.loss, bestEpoch: figures.epoch } : {}),
      seconds,
      status: status(t),
      ...(failure === undefined ? {} : { failure }),
    }
  })
}
