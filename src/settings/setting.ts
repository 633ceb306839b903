import { UserError } from '../graph/errors.ts'

/** How a page asks for a setting. */
export interface SettingField {
  /** Of the field. */
  readonly label: string
  /** Such as `px`. */
  readonly unit?: string
  /** The smallest value that the page accepts. */
  readonly least?: number
  /** The largest value that the page accepts. */
  readonly most?: number
  /** Of a choice: what the page calls each name. */
  readonly options?: Readonly<Record<string, string>>
}

/**
 * What a setting decides. `learning`: the result, so that a resumed run keeps it and a search may vary it. `comparison`: the result,
 * but runs that are compared have it in common. `execution`: only how the work is carried out. `output`: where files go.
 */
export type Role = 'learning' | 'comparison' | 'execution' | 'output'

/** What every setting says of itself. */
export interface SettingAbout<T> {
  /** What it is, for help: a phrase without a full stop. */
  readonly about: string
  /** The value without which nobody has to decide. Left out where it depends on other settings, or means "not set". */
  readonly default?: T
  /** Says in help what the default is, where it is not a fixed value. */
  readonly usually?: string
  /** Under which heading help lists it. @default 'Model' */
  readonly group?: string
  /** Whether the short help lists it. @default false */
  readonly common?: boolean
  /** @default 'learning' */
  readonly role?: Role
  /** Whether a resumed run may have more of it, or any value. @default the same value; any for `execution` */
  readonly resume?: 'more' | 'any'
  /** The kind of run that it is for. @default all */
  readonly of?: 'classifier'
  /** Pages ask for settings with a field. */
  readonly field?: SettingField
}

/** The range of a number. */
export interface Range {
  /** Whole numbers only. */
  readonly whole?: boolean
  /** The smallest value. */
  readonly least?: number
  /** The largest value. */
  readonly most?: number
  /** Values must be above it. */
  readonly above?: number
  /** Values must be below it. */
  readonly below?: number
}

/** A number. */
export interface NumberSetting extends SettingAbout<number>, Range {
  /** What it takes. */
  readonly kind: 'number'
}

/** Several numbers. */
export interface NumbersSetting extends SettingAbout<readonly number[]>, Range {
  /** What it takes. */
  readonly kind: 'numbers'
}

/** One of some names. */
export interface ChoiceSetting<C extends string = string> extends SettingAbout<C> {
  /** What it takes. */
  readonly kind: 'choice'
  /** The names. */
  readonly choices: readonly C[]
}

/** On or off. */
export interface SwitchSetting extends SettingAbout<boolean> {
  /** What it takes. */
  readonly kind: 'switch'
}

/** Any text, such as a name or a path. */
export interface TextSetting extends SettingAbout<string> {
  /** What it takes. */
  readonly kind: 'text'
}

/** A value that whoever trains can choose, with its range and its help. */
export type Setting = NumberSetting | NumbersSetting | ChoiceSetting | SwitchSetting | TextSetting

/** Settings by name. */
export type Schema = Readonly<Record<string, Setting>>

/** The type of a setting's value. */
export type ValueOf<S> =
  S extends ChoiceSetting<infer C>
    ? C
    : S extends { readonly kind: 'number' }
      ? number
      : S extends { readonly kind: 'numbers' }
        ? readonly number[]
        : S extends { readonly kind: 'switch' }
          ? boolean
          : string

/** Values of the settings of a schema, each of which may be left out. */
export type ValuesOf<S> = { readonly [K in keyof S]?: ValueOf<S[K]> | undefined }

/** A value of any setting. */
export type Value = number | string | boolean | readonly number[]

/** Values by name, whatever the schema. */
export type Values = Readonly<Record<string, Value>>

/** What can be said of a setting beside its kind and what it is. */
export type SettingDetails<S extends Setting> = Omit<S, 'kind' | 'about' | 'choices'>

/** A setting with what is said of it beside its kind. */
const made = <const B extends object, const R extends object>(base: B, rest: R | undefined): B & R =>
  Object.assign(base, rest) as B & R

/** A number. @param about a phrase for help */
export const number = <const R extends SettingDetails<NumberSetting> = Readonly<Record<never, never>>>(
  about: string,
  rest?: R,
) => made({ kind: 'number', about }, rest)
/** A whole number of at least 1, unless the range says otherwise. */
export const whole = <const R extends SettingDetails<NumberSetting> = Readonly<Record<never, never>>>(
  about: string,
  rest?: R,
) => made({ kind: 'number', about, whole: true, ...(rest?.least === undefined ? { least: 1 } : {}) }, rest)
/** A number of at least 0 and below 1. */
export const share = <
  const R extends Omit<SettingDetails<NumberSetting>, keyof Range> = Readonly<Record<never, never>>,
>(
  about: string,
  rest?: R,
) => made({ kind: 'number', about, least: 0, below: 1 }, rest)
/** Whole numbers of at least 1. */
export const sizes = <
  const R extends Omit<SettingDetails<NumbersSetting>, keyof Range> = Readonly<Record<never, never>>,
>(
  about: string,
  rest?: R,
) => made({ kind: 'numbers', about, whole: true, least: 1 }, rest)
/** One of some names. */
export const choice = <
  const C extends string,
  const R extends SettingDetails<ChoiceSetting<C>> = Readonly<Record<never, never>>,
>(
  about: string,
  choices: readonly C[],
  rest?: R,
) => made({ kind: 'choice', about, choices }, rest)
/** On or off. */
export const toggle = <const R extends SettingDetails<SwitchSetting> = Readonly<Record<never, never>>>(
  about: string,
  rest?: R,
) => made({ kind: 'switch', about }, rest)
/** Any text. */
export const text = <const R extends SettingDetails<TextSetting> = Readonly<Record<never, never>>>(
  about: string,
  rest?: R,
) => made({ kind: 'text', about }, rest)

/** A range in words: `a whole number from 1 to 256`. */
function inWords({ whole, least, most, above, below }: Range, several: boolean): string {
  const noun = `${whole ? 'whole number' : 'number'}`
  const start = several ? `${noun}s` : `a ${noun}`
  if (least !== undefined && most !== undefined) return `${start} from ${least} to ${most}`
  const ends = [
    least === undefined ? undefined : whole ? `of at least ${least}` : `at least ${least}`,
    above === undefined ? undefined : `above ${above}`,
    most === undefined ? undefined : `at most ${most}`,
    below === undefined ? undefined : `below ${below}`,
  ].filter(end => end !== undefined)
  return [start, ends.join(' and ')]
    .filter(Boolean)
    .join(' ')
    .replace('number at least', 'number of at least')
}

const isWithin = (
  value: unknown,
  { whole, least = -Infinity, most = Infinity, above = -Infinity, below = Infinity }: Range,
): boolean =>
  typeof value === 'number' &&
  (whole ? Number.isSafeInteger(value) : Number.isFinite(value)) &&
  value >= least &&
  value <= most &&
  value > above &&
  value < below

const shown = (value: unknown): string => (typeof value === 'object' ? JSON.stringify(value) : String(value))

/**
 * The one rule for values of settings, wherever they come from.
 * @returns what the value must be, in words, where it is something else; undefined where it is right
 */
export function problemOf(setting: Setting, value: unknown): string | undefined {
  switch (setting.kind) {
    case 'number':
      return isWithin(value, setting) ? undefined : inWords(setting, false)
    case 'numbers':
      return Array.isArray(value) && value.every(v => isWithin(v, setting))
        ? undefined
        : `a list of ${inWords(setting, true)}`
    case 'choice':
      return setting.choices.some(c => c === value) ? undefined : `one of ${setting.choices.join(', ')}`
    case 'switch':
      return typeof value === 'boolean' ? undefined : 'true or false'
    case 'text':
      return typeof value === 'string' && value ? undefined : 'a text'
  }
}

/**
 * Checks a value.
 * @param label what messages call it: `--epochs` on the command line, `epochs` in a program
 * @throws UserError when the value is not one that the setting takes
 */
export function checkSetting(label: string, setting: Setting, value: unknown): void {
  const problem = problemOf(setting, value)
  if (problem !== undefined) throw new UserError(`${label} must be ${problem}, not ${shown(value)}`)
}

/** A value from its text, as on a command line; what is not a number stays text, for {@link checkSetting} to refuse. */
export function readSetting({ kind }: Setting, given: unknown): unknown {
  const read = (one: unknown) => (typeof one === 'string' && one.trim() ? numberOr(one) : one)
  if (kind === 'number') return read(given)
  if (kind === 'numbers') return [given].flat().map(read)
  return given
}

const numberOr = (text: string): number | string => (Number.isNaN(Number(text)) ? text : Number(text))

/**
 * Checks values against a schema.
 * @param label what messages call a setting @throws UserError for a name that the schema lacks, or a value out of range
 */
export function checkSettings(
  schema: Schema,
  values: Readonly<Record<string, unknown>>,
  label: (name: string) => string = name => name,
): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue
    const setting = Object.hasOwn(schema, name) ? schema[name] : undefined
    if (!setting)
      throw new UserError(`${label(name)} is not a setting here; there are ${Object.keys(schema).join(', ')}`)
    checkSetting(label(name), setting, value)
  }
}
