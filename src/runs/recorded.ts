import type { DataSource } from '../data/dataset.ts'
import type { Fingerprints } from '../data/fingerprint.ts'
import { picked } from '../graph/keys.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import type { Schedule } from '../optim/schedule.ts'
import type { Setting } from '../settings/setting.ts'
import type { SettingValues } from './definition.ts'
import { GRAPH_SETTINGS } from './finetune-settings.ts'
import type { RecordedModel, RunRecord } from './record.ts'
import { AUGMENT_SETTINGS, OPTIMIZER_SETTINGS, SETTINGS } from './settings.ts'

/** Settings that a record does not hold under their own name, but as part of something else. */
const STRUCTURED: readonly string[] = [
  ...['preset', 'preprocess', 'optimizer', 'schedule', 'data', 'text', 'skipBad', 'limit'],
  ...Object.keys(AUGMENT_SETTINGS),
  ...Object.keys(OPTIMIZER_SETTINGS),
  ...GRAPH_SETTINGS,
]

const namesOf = (isOf: (setting: Setting) => boolean): readonly string[] =>
  Object.entries<Setting>(SETTINGS).flatMap(([name, setting]) =>
    isOf(setting) && !STRUCTURED.includes(name) ? [name] : [],
  )

/** Settings of a record under their own name: those that decide the result. */
const LEARNED = namesOf(({ role = 'learning' }) => role === 'learning' || role === 'comparison')
/** Settings that only `config.json` holds: how the work is carried out. */
const EXECUTION = namesOf(({ role }) => role === 'execution')

const BESIDE: readonly (keyof RunRecord)[] = [
  ...(['model', 'module', 'optimizer', 'schedule', 'augment', 'normalization', 'preprocessing'] as const),
  ...(['classes', 'examples', 'fingerprints'] as const),
]

/** Whether a field of `config.json` is part of the run's record; `images` is what releases up to 0.1.0 call `examples`. */
export const isRecorded = (key: string): boolean =>
  key === 'images' || LEARNED.includes(key) || BESIDE.some(name => name === key)

/** Of values, those that only say how the work is carried out. */
export const executionOf = (values: SettingValues): SettingValues => picked(values, EXECUTION)

/** What a record is made of. */
export interface Recording {
  readonly model: RecordedModel
  readonly module?: string | undefined
  /** Of all settings, by name. */
  readonly values: SettingValues
  readonly augment?: SettingValues | undefined
  readonly optimizer: Optimizer
  readonly schedule: Schedule
  readonly data: Pick<DataSource, 'train' | 'normalization' | 'preprocessing'>
  /** Of an epoch. */
  readonly examples: number
  readonly fingerprints: Fingerprints
}

/** The record of a run that begins, in Node or in a page. */
export function recordOf(run: Recording): Omit<RunRecord, 'step'> {
  const { model, module, values, augment, optimizer, schedule, data, examples, fingerprints } = run
  const record = {
    model,
    ...(module === undefined ? {} : { module }),
    ...picked(values, LEARNED),
    optimizer: { name: optimizer.name, ...optimizer.settings },
    schedule: { name: schedule.name, ...schedule.settings },
    ...(augment ? { augment } : {}),
    ...(data.normalization ? { normalization: data.normalization } : {}),
    ...(data.preprocessing ? { preprocessing: data.preprocessing } : {}),
    classes: data.train.classes ?? [],
    examples,
    fingerprints,
  }
  // The values were checked against the schema, whose defaults fill what a record must have.
  return record as unknown as Omit<RunRecord, 'step'>
}
