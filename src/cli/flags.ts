import type { Options } from 'yargs'
import { MODELS } from '../../models/index.ts'
import { UserError } from '../graph/errors.ts'
import { flagOf, kebab } from '../runs/command.ts'
import type { Definition, SettingValues } from '../runs/definition.ts'
import { SETTINGS } from '../runs/settings.ts'
import { readSetting, type Schema, type Setting } from '../settings/setting.ts'

// Flags are made of settings, and settings of flags.

/** The settings of the models that come with onnxgrad, each with the models that have it. */
const MODEL_SETTINGS: Schema = Object.entries(MODELS).reduce<Record<string, Setting>>(
  (all, [model, { settings }]) => {
    for (const [name, setting] of Object.entries<Setting>(settings)) {
      const [models, about] = all[name]?.about.split(': ') ?? []
      all[name] = {
        ...setting,
        about: about ? `${models}, ${model}: ${about}` : `${model}: ${setting.about}`,
      }
    }
    return all
  },
  {},
)

const presets = Object.entries(MODELS)
  .map(([name, entry]) => `${name} ${Object.keys(entry.presets).join(', ')}`)
  .join('; ')

/** Everything that `train` takes for the models that come with onnxgrad. */
export const KNOWN: Schema = {
  ...SETTINGS,
  preset: { ...SETTINGS.preset, about: `${SETTINGS.preset.about}: ${presets}`, usually: 'the first' },
  ...MODEL_SETTINGS,
}

const shown = (value: unknown): string => [value].flat().join(' ')

/** A setting as an option of yargs. */
export function optionOf(setting: Setting): Options {
  const { about, group = 'Model', usually, common } = setting
  const fallback = usually ?? (setting.default === undefined ? undefined : shown(setting.default))
  const shared: Options = {
    describe: about,
    group: `${group}:`,
    hidden: !common,
    ...(fallback === undefined ? {} : { defaultDescription: fallback }),
  }
  switch (setting.kind) {
    case 'switch':
      return { ...shared, type: 'boolean' }
    case 'choice':
      return { ...shared, choices: setting.choices, requiresArg: true }
    case 'text':
      return { ...shared, type: 'string', requiresArg: true }
    case 'numbers':
      return { ...shared, array: true, requiresArg: true }
    // Without a type, what is not a number stays as it was typed, for the message that refuses it.
    case 'number':
      return { ...shared, requiresArg: true }
  }
}

/** The options of a schema, for yargs. */
export const optionsOf = (schema: Schema): Readonly<Record<string, Options>> =>
  Object.fromEntries(Object.entries(schema).map(([name, setting]) => [kebab(name), optionOf(setting)]))

/**
 * Everything that `train` takes for a module: its own settings, which the short help lists, with the defaults of the module. Settings of
 * data that it does not take are known all the same, so that a message can say so.
 */
export function ownSchema({ settings, defaults }: Definition): Schema {
  const values = defaults({})
  const shared = Object.entries<Setting>(SETTINGS).map(([name, setting]): [string, Setting] => [
    name,
    setting.of
      ? { ...setting, common: false }
      : { ...setting, ...(values[name] === undefined ? {} : { usually: shown(values[name]) }) },
  ])
  const own = Object.entries(settings).map(([name, setting]) => [name, { ...setting, common: true }] as const)
  return Object.fromEntries([...shared, ...own])
}

/** The settings that flags, or a file of them, give. @throws UserError for a flag that is given twice */
export function settingsIn(schema: Schema, argv: SettingValues): SettingValues {
  const given = Object.entries(schema).flatMap(([name, setting]) => {
    const value = argv[name]
    if (value === undefined) return []
    if (Array.isArray(value) && setting.kind !== 'numbers')
      throw new UserError(
        `${flagOf(name)} is given ${value.length} times (${value.join(', ')}); give it once`,
      )
    return [[name, readSetting(setting, value)] as const]
  })
  return Object.fromEntries(given)
}
