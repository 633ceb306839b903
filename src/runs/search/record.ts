import { areFingerprints, type Fingerprints } from '../../data/fingerprint.ts'
import { UserError } from '../../graph/errors.ts'
import { fieldsOf } from '../../graph/keys.ts'
import type { Values } from '../../settings/setting.ts'
import { namedSettings } from '../command.ts'

/** What a search was asked for: enough to resume it. */
export interface TuneSettings {
  /** A model that comes with onnxgrad, or the name of a definition. */
  readonly model: string
  /** The module of the definition, by its path. */
  readonly module?: string
  readonly strategy: 'random' | 'halving'
  readonly trials: number
  /** For which each trial's schedule is made. */
  readonly epochs: number
  readonly eta: number
  readonly minEpochs: number
  readonly seed: number
  /** As it was declared. */
  readonly space: Readonly<Record<string, unknown>>
  /** Settings that all trials share. */
  readonly settings: Values
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
  // Releases up to 0.1.0 have flags in place of settings.
  const { flags, ...own } = value
  const record = flags === undefined ? value : { ...own, settings: namedSettings(fieldsOf(flags)) }
  if (!isRecord(record)) throw new UserError(`${file} does not say what is tuned: the file is damaged`)
  return record
}

function isRecord(value: object): value is TuneRecord {
  const { model, strategy, space, settings, valSplit, fingerprints, ...numbers } = fieldsOf(value)
  const { trials, epochs, eta, minEpochs, seed } = numbers
  const objects = [space, settings].every(v => typeof v === 'object' && v !== null)
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
