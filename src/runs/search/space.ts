import { UserError } from '../../graph/errors.ts'
import { nth } from '../../graph/present.ts'
import { hash, type Rng, rng } from '../../graph/random.ts'
import type { Value, Values } from '../../settings/setting.ts'

/** A setting that varies, and how. Ranges include both ends. */
export type Dimension = { readonly name: string } & (
  | { readonly kind: 'log' | 'uniform' | 'int'; readonly low: number; readonly high: number }
  | { readonly kind: 'choice'; readonly values: readonly Value[] }
)

/** Digits of a drawn number: whoever types it gets the same training. */
const DIGITS = 4

const rounded = (value: number, low: number, high: number): number =>
  Math.min(high, Math.max(low, Number(value.toPrecision(DIGITS))))

const isValue = (value: unknown): value is Value =>
  ['string', 'boolean'].includes(typeof value) ||
  Number.isFinite(value) ||
  (Array.isArray(value) && value.every(Number.isFinite))

const FORMS =
  '{"log": [1e-4, 1e-2]}, {"uniform": [0, 0.1]}, {"int": [2, 6]}, {"choice": ["adam", "adamw"]} or a list of values'

function choice(name: string, values: readonly unknown[], where: string): Dimension {
  if (!values.length) throw new UserError(`${where} is an empty list: give the values that it may take`)
  if (!values.every(isValue))
    throw new UserError(
      `${where}: ${JSON.stringify(values.find(value => !isValue(value)))} is not a number, string, boolean or list of numbers`,
    )
  return { name, kind: 'choice', values }
}

const isFiniteNumber = (value: unknown): value is number => Number.isFinite(value)

function range(name: string, kind: 'log' | 'uniform' | 'int', ends: unknown, where: string): Dimension {
  const [a, b, ...more]: readonly unknown[] = Array.isArray(ends) ? ends : []
  const said = `${where}: {"${kind}": ${JSON.stringify(ends)}}`
  if (!isFiniteNumber(a) || !isFiniteNumber(b) || more.length)
    throw new UserError(`${said} is not a range: give two numbers, the smaller one first`)
  if (a >= b) throw new UserError(`${said} is empty: the first number must be below the second`)
  if (kind === 'log' && a <= 0)
    throw new UserError(`${said} has no logarithm at ${a}: both numbers must be above 0`)
  if (kind === 'int' && !(Number.isSafeInteger(a) && Number.isSafeInteger(b) && b - a < 2 ** 32))
    throw new UserError(`${said}: both numbers must be whole`)
  return { name, kind, low: a, high: b }
}

function dimension(name: string, declared: unknown, where: string): Dimension {
  if (Array.isArray(declared)) return choice(name, declared, where)
  const [form, ...others] = typeof declared === 'object' && declared ? Object.entries(declared) : []
  if (!form || others.length)
    throw new UserError(`${where} must be one of ${FORMS}, not ${JSON.stringify(declared)}`)
  const [kind, given]: readonly [string, unknown] = form
  if (kind === 'choice' && Array.isArray(given)) return choice(name, given, where)
  if (kind === 'log' || kind === 'uniform' || kind === 'int') return range(name, kind, given, where)
  throw new UserError(`${where} must be one of ${FORMS}, not ${JSON.stringify(declared)}`)
}

/**
 * The settings that a declaration lets vary: an object with a range or a list of values for each name.
 * @param where where it was declared, for messages
 * @throws UserError when it is no space, or a range is empty
 */
export function readSpace(declared: unknown, where: string): Dimension[] {
  if (typeof declared !== 'object' || declared === null || Array.isArray(declared))
    throw new UserError(
      `${where}: a space is an object such as {"lr": {"log": [1e-4, 1e-2]}, "dim": [64, 96]}`,
    )
  const entries = Object.entries(declared)
  if (!entries.length) throw new UserError(`${where}: the space is empty: nothing in it varies`)
  return entries.map(([name, one]) => dimension(name, one, `${where}: ${name}`))
}

function drawn(d: Dimension, { uniform, int }: Rng): Value {
  if (d.kind === 'choice') return nth(d.values, int(d.values.length))
  const { low, high } = d
  if (d.kind === 'int') return low + int(high - low + 1)
  if (d.kind === 'uniform') return rounded(low + (high - low) * uniform(), low, high)
  return rounded(low * (high / low) ** uniform(), low, high)
}

/** So often a trial is drawn that another one is already; where all are taken, no trials are left. */
const ATTEMPTS = 1000

/**
 * The settings of trials 0, 1, 2, …, no two of them alike. A trial's settings depend on the seed and its number only, each one
 * on its name too: not on how many trials there are, nor in which order the space names them.
 * @returns `count` of them, or fewer where the space has no more
 */
export function draws(space: readonly Dimension[], seed: number, count: number): Values[] {
  const found = new Map<string, Values>()
  for (let trial = 0; trial < count; trial++) {
    let attempt = 0
    let key: string
    let values: Values
    do {
      if (attempt === ATTEMPTS) return [...found.values()]
      const at = attempt++
      values = Object.fromEntries(space.map(d => [d.name, drawn(d, rng(hash(seed, trial, at, d.name)))]))
      key = JSON.stringify(values)
    } while (found.has(key))
    found.set(key, values)
  }
  return [...found.values()]
}
