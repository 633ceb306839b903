import { areFingerprints, type Fingerprints } from '../data/fingerprint.ts'
import { UserError } from '../graph/errors.ts'
import { fieldsOf } from '../graph/keys.ts'
import type { Values } from './space.ts'

/** What a tune was asked for: enough to go on with it. */
export interface TuneSettings {
  readonly model: string
  readonly strategy: 'random' | 'halving'
  readonly trials: number
  /** For which each trial's schedule is made. */
  readonly epochs: number
  readonly eta: number
  readonly minEpochs: number
  readonly seed: number
  /** As it was declared. */
  readonly space: Readonly<Record<string, unknown>>
  /** Flags of `train` that all trials share. */
  readonly flags: Values
}

/** {@link TuneSettings}, and what was decided where they left it open. */
export interface TuneRecord extends TuneSettings {
  /** Of the training examples, where neither flags nor data say what to validate on. */
  readonly valSplit?: number
  /** Of the data of the first trial; missing in tunes of older releases. */
  readonly fingerprints?: Fingerprints
}

/** The record that `tune.json` holds. @throws UserError when something is missing, or is what it cannot be */
export function readRecord(value: Readonly<Record<string, unknown>>, file: string): TuneRecord {
  if (!isRecord(value)) throw new UserError(`${file} does not say what is tuned: the file is damaged`)
  return value
}

function isRecord(value: object): value is TuneRecord {
  const { model, strategy, space, flags, valSplit, fingerprints, ...numbers } = fieldsOf(value)
  const { trials, epochs, eta, minEpochs, seed } = numbers
  const objects = [space, flags].every(v => typeof v === 'object' && v !== null)
  const counts = [trials, epochs, minEpochs].every(v => Number.isSafeInteger(v) && Number(v) >= 1)
  return (
    typeof model === 'string' &&
    (strategy === 'random' || strategy === 'halving') &&
    objects &&
    counts &&
    Number(eta) >= 2 &&
    Number.isSafeInteger(seed) &&
    (valSplit === undefined || Number(valSplit) > 0) &&
    (fingerprints === undefined || areFingerprints(fingerprints))
  )
}
