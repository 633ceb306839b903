import { UserError } from '../graph/errors.ts'
import { checkSetting, type NumberSetting, readSetting } from '../settings/setting.ts'
import { flagOf, optionOf } from './flags.ts'

/**
 * A flag of a verb that takes a number, by the rule for settings: its text is read here, for yargs would make NaN of `abc`.
 * @param name in camel case
 */
export const numberOption = <const S extends NumberSetting>(name: string, setting: S) => ({
  ...optionOf(setting),
  ...(setting.default === undefined ? {} : { default: setting.default }),
  coerce(text: unknown): number {
    const value = readSetting(setting, text)
    checkSetting(flagOf(name), setting, value)
    if (typeof value === 'number') return value
    throw new UserError(`${flagOf(name)} must be a number, not ${String(text)}`)
  },
})
