import type { Value, Values } from '../settings/setting.ts'
import type { SettingValues } from './definition.ts'

/** The flag of a setting, with hyphens. */
export const kebab = (name: string): string => name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)

/** What messages call a setting on the command line. */
export const flagOf = (name: string): string => `--${kebab(name)}`

/** The setting of a flag. */
export const camel = (flag: string): string =>
  flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** Values by the names of their flags, by the names of their settings. */
export const namedSettings = (flags: SettingValues): SettingValues =>
  Object.fromEntries(Object.entries(flags).map(([flag, value]) => [camel(flag), value]))

function words(name: string, value: Value): string[] {
  const flag = flagOf(name)
  if (typeof value === 'boolean') return [value ? flag : `--no-${kebab(name)}`]
  if (Array.isArray(value)) return [flag, ...value.map(String)]
  const text = String(value)
  // What begins with a hyphen would be read as the next flag.
  return /^-\D/.test(text) ? [`${flag}=${text}`] : [flag, text]
}

const quoted = (word: string): string =>
  /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

/** A command as it is typed into a shell. */
export const shellCommand = (...words: readonly string[]): string => words.map(quoted).join(' ')

/** The command that trains these settings. */
export const trainCommand = (model: string, values: Values): string =>
  shellCommand(
    ...['npx', 'onnxgrad', 'train', model],
    ...Object.entries(values).flatMap(([name, value]) => words(name, value)),
  )
