import { augmentation, mixes } from '../data/augment.ts'
import { classification } from '../tasks/classification.ts'
import type { Task } from '../tasks/task.ts'
import type { SettingValues } from './definition.ts'
import { AUGMENT_SETTINGS } from './settings.ts'

/** The augmentation that settings ask for; undefined where they ask for nothing. */
export function augmentOptions(values: SettingValues): SettingValues | undefined {
  const given = Object.keys(AUGMENT_SETTINGS).filter(key => values[key])
  return given.length ? Object.fromEntries(given.map(key => [key, values[key]])) : undefined
}

/** The task of a classifier whose settings these are. */
export function taskFor(values: SettingValues): Task {
  const augment = augmentOptions(values)
  const targets = augment && mixes(augmentation(augment)) ? 'mixed' : 'labels'
  const { labelSmoothing } = values
  return classification({
    targets,
    ...(labelSmoothing === undefined ? {} : { labelSmoothing: Number(labelSmoothing) }),
  })
}
