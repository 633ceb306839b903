import { UserError } from '../graph/errors.ts'
import { fieldsOf } from '../graph/keys.ts'
import type { Schema } from '../settings/setting.ts'
import type { Context, SettingValues } from './definition.ts'
import { type RunRecord, stepsPerEpoch } from './record.ts'
import { AUGMENT_SETTINGS, OPTIMIZER_SETTINGS, SETTINGS } from './settings.ts'

/** The values of settings that a run was trained with, by name. */
export function settingsOf(record: Omit<RunRecord, 'step'>, more: SettingValues = {}): SettingValues {
  const { optimizer, schedule, model } = record
  const recorded = fieldsOf(record)
  const plain = Object.keys(SETTINGS).map(name => [name, recorded[name]] as const)
  const off = Object.keys(AUGMENT_SETTINGS).map(name => [name, name === 'flip' ? false : 0] as const)
  const rates = Object.keys(OPTIMIZER_SETTINGS).map(name => [name, optimizer[name]] as const)
  return {
    ...more,
    ...Object.fromEntries(plain.filter(([, value]) => value !== undefined)),
    ...Object.fromEntries(off),
    ...record.augment,
    ...Object.fromEntries(rates),
    accumulate: record.accumulate ?? 1,
    optimizer: optimizer.name,
    schedule: schedule.name,
    warmup: record.warmup ?? Number(schedule.warmupSteps ?? 0) / stepsPerEpoch(record),
    labelSmoothing: record.labelSmoothing ?? 0,
    device: record.device ?? 'cpu',
    preprocess: record.preprocessing?.kind,
    ...model.config,
  }
}

/**
 * A resumed run keeps its settings: one that is given otherwise is a mistake. More epochs are not, nor is more patience.
 * @param had the run's settings, by name
 * @throws UserError with all differences
 */
export function refuseOtherSettings(
  schema: Schema,
  asked: SettingValues,
  had: SettingValues,
  path: string,
  { label }: Pick<Context, 'label'>,
): void {
  const wrong = Object.entries(asked).flatMap(([name, value]) => {
    const setting = schema[name]
    if (value === undefined || !setting) return []
    const { role = 'learning', resume } = setting
    if (role === 'execution' || role === 'output' || resume === 'any') return []
    if (resume === 'more')
      return had[name] !== undefined && Number(value) < Number(had[name])
        ? [`${label(name)} is ${had[name]} in this run; it can be more, not fewer`]
        : []
    if (String(value) === String(had[name])) return []
    return [`${label(name)} is ${had[name] ?? 'not set'} in this run, not ${value}`]
  })
  if (wrong.length) throw new UserError(`${path}: ${wrong.join('; ')}`)
}
