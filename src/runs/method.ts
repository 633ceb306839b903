import { picked } from '../graph/keys.ts'
import { lookup } from '../graph/present.ts'
import type { ParameterGroup } from '../optim/groups.ts'
import { type Optimizer, optimizerOf } from '../optim/optimizer.ts'
import { SCHEDULES, type Schedule, withWarmup } from '../optim/schedule.ts'
import type { SettingValues } from './definition.ts'
import { OPTIMIZER_SETTINGS } from './settings.ts'

/** The optimizer that settings describe. Those that it does not have are left out. @param groups of parameters */
export function optimizerFor(values: SettingValues, groups: readonly ParameterGroup[] = []): Optimizer {
  const name = String(values.optimizer)
  const known = optimizerOf(name).settings
  const own = Object.keys(OPTIMIZER_SETTINGS).filter(key => Object.hasOwn(known, key))
  return optimizerOf(name, { ...picked(values, own), ...(groups.length ? { groups } : {}) })
}

/** The schedule that settings describe. @param perEpoch steps of an epoch */
export const scheduleFor = (values: SettingValues, perEpoch: number): Schedule =>
  withWarmup(
    lookup<() => Schedule>(SCHEDULES, String(values.schedule))(),
    Math.round(Number(values.warmup) * perEpoch),
  )
