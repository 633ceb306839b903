import type { Options } from 'yargs'
import { UserError } from '../graph/errors.ts'
import { flagOf } from '../runs/command.ts'
import { checkSetting, type NumberSetting, readSetting } from '../settings/setting.ts'
import { optionOf } from './flags.ts'

export interface NumberOption extends Options {
  readonly coerce: (text: unknown) => number
}

/**
 * A flag of a verb that takes a number, by the rule for settings: its text is read here, for yargs would make NaN of `abc`.
 * @param name in camel case
 */
export function numberOption(
  name: string,
  setting: NumberSetting & { readonly default: number },
): NumberOption & { readonly default: number }
export function numberOption(name: string, setting: NumberSetting): NumberOption
export function numberOption(name: string, setting: NumberSetting): NumberOption {
  return {
    ...optionOf(setting),
    ...(setting.default === undefined ? {} : { default: setting.default }),
    coerce(text) {
      const value = readSetting(setting, text)
      checkSetting(flagOf(name), setting, value)
      if (typeof value === 'number') return value
      throw new UserError(`${flagOf(name)} must be a number, not ${String(text)}`)
    },
  }
}
