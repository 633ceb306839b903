import { UserError } from '../graph/errors.ts'

/** What a number may be. */
export interface NumberRule {
  readonly whole?: boolean
  /** The smallest that is allowed. */
  readonly least?: number
  /** It must be larger than this. */
  readonly above?: number
  /** The largest that is allowed. @default 2^53 − 1 for whole numbers */
  readonly most?: number
}

function inWords({ whole, least, above, most }: NumberRule): string {
  const kind = whole ? 'a whole number' : 'a number'
  if (least !== undefined && most !== undefined) return `${kind} from ${least} to ${most}`
  if (least !== undefined) return `${kind} of at least ${least}`
  if (above !== undefined && most !== undefined) return `${kind} above ${above} and at most ${most}`
  return above === undefined ? kind : `${kind} above ${above}`
}

const obeys = (n: number, { whole, least = -Infinity, above = -Infinity, most = Infinity }: NumberRule) =>
  (whole ? Number.isSafeInteger(n) : Number.isFinite(n)) && n >= least && n > above && n <= most

/**
 * The number that a text says, as users type it: `64`, `1e-3`.
 * @throws UserError that names the flag, the rule and the text
 */
export function numberOf(flag: string, text: unknown, rule: NumberRule): number {
  const n = typeof text === 'string' && text.trim() === '' ? Number.NaN : Number(text)
  if (obeys(n, rule)) return n
  throw new UserError(`--${flag} must be ${inWords(rule)}, not ${text === '' ? 'empty' : String(text)}`)
}

/**
 * A flag that takes a number. yargs hands its text over as it was typed: a number that it makes itself would be NaN for `abc`.
 */
export const numberFlag = (flag: string, rule: NumberRule) =>
  ({
    type: 'number',
    string: true,
    requiresArg: true,
    coerce: (text: unknown): number => numberOf(flag, text, rule),
  }) as const
