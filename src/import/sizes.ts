import { allFactors, type Dim, fromFactors, product, sum, UNKNOWN } from '../graph/dim.ts'
import type { DType } from '../graph/dtype.ts'
import { exact, type Int64 } from '../graph/int64.ts'
import type { Element } from './value.ts'

/** Arithmetic on elements that are followed through a file: numbers, and sizes that have a name. */

export const isNumber = (v: Element): v is Int64 => typeof v === 'number' || typeof v === 'bigint'
const isDim = (v: Element): v is Dim => typeof v === 'string' || (typeof v === 'number' && isSize(v))
const isSize = (v: Int64): boolean => Number.isInteger(Number(v)) && v >= 0

const BITS: Readonly<Partial<Record<DType, number>>> = { int32: 32, int64: 64 }
const element = (dim: Dim): Element => (dim === UNKNOWN ? undefined : dim)

interface Rule {
  readonly integers: (a: bigint, b: bigint) => bigint | undefined
  readonly floats: (a: number, b: number) => number
  readonly sizes: (a: Dim, b: Dim) => Element
}

/** Symbols of `a` without those of `b`; undefined where one is missing. */
function without(a: readonly string[], b: readonly string[]): string[] | undefined {
  const left = [...a]
  for (const symbol of b) {
    const at = left.indexOf(symbol)
    if (at < 0) return undefined
    left.splice(at, 1)
  }
  return left
}

/** `a / b` where b divides a, whatever the symbols stand for. */
function quotient(a: Dim, b: Dim): Element {
  const [over, under] = [allFactors([a]), allFactors([b])]
  const symbols = without(over.symbols, under.symbols)
  const literal = over.literal / under.literal
  return symbols && Number.isInteger(literal) ? element(fromFactors({ symbols, literal })) : undefined
}

/** `a − b` where it is a size, whatever the symbols stand for. */
function difference(a: Dim, b: Dim): Element {
  if (a === b) return 0
  if (b === 0) return a
  const terms = (d: Dim): string[] => String(d).split('+')
  const [literals, symbols] = [terms(a).filter(t => /^\d+$/.test(t)), terms(a).filter(t => !/^\d+$/.test(t))]
  const literal = literals.reduce((n, t) => n + Number(t), 0)
  if (typeof b === 'number') return literal >= b ? element(sum([...symbols, literal - b])) : undefined
  const left = without(symbols, terms(b))
  return left && element(sum([...left, literal]))
}

const floored = (a: bigint, b: bigint): bigint => ((a % b) + b) % b

const RULES: Readonly<Record<string, Rule>> = {
  Add: { integers: (a, b) => a + b, floats: (a, b) => a + b, sizes: (a, b) => element(sum([a, b])) },
  Sub: { integers: (a, b) => a - b, floats: (a, b) => a - b, sizes: difference },
  Mul: { integers: (a, b) => a * b, floats: (a, b) => a * b, sizes: (a, b) => element(product([a, b])) },
  Div: { integers: (a, b) => (b ? a / b : undefined), floats: (a, b) => a / b, sizes: quotient },
  Mod: {
    integers: (a, b) => (b > 0 ? floored(a, b) : undefined),
    floats: (a, b) => a % b,
    sizes: (a, b) => (quotient(a, b) === undefined ? undefined : 0),
  },
  Pow: {
    integers: (a, b) => (b >= 0 && b < 64 ? a ** b : undefined),
    floats: (a, b) => a ** b,
    sizes: (a, b) => (b === 1 ? a : undefined),
  },
  Max: {
    integers: (a, b) => (a > b ? a : b),
    floats: Math.max,
    sizes: (a, b) => (a === b || b === 0 ? a : a === 0 ? b : undefined),
  },
  Min: {
    integers: (a, b) => (a < b ? a : b),
    floats: Math.min,
    sizes: (a, b) => (a === b ? a : a === 0 || b === 0 ? 0 : undefined),
  },
}

/** Names of the operators of {@link combined}. */
export const COMBINING: readonly string[] = Object.keys(RULES)

/** A float of a dtype; what is more exact in the graph is not less exact here. */
const rounded = (value: number, dtype: DType): number => (dtype === 'float64' ? value : Math.fround(value))

/** `a op b`, as the dtype holds it; undefined where only the run time knows it, and where it overflows. */
export function combined(op: string, dtype: DType, a: Element, b: Element): Element {
  const rule = RULES[op]
  const bits = BITS[dtype]
  const float = dtype.startsWith('float')
  if (!rule || (!bits && !float)) return undefined
  if (isNumber(a) && isNumber(b)) {
    if (float) return rounded(rule.floats(Number(a), Number(b)), dtype)
    const result = rule.integers(BigInt(a), BigInt(b))
    return result !== undefined && bits && BigInt.asIntN(bits, result) === result ? exact(result) : undefined
  }
  return isDim(a) && isDim(b) ? rule.sizes(a, b) : undefined
}

const FUNCTIONS: Readonly<Record<string, (v: number) => number>> = {
  Neg: v => -v,
  Abs: Math.abs,
  Floor: Math.floor,
  Ceil: Math.ceil,
  Sqrt: Math.sqrt,
  // Halves go to the even neighbour.
  Round: v => (Math.abs(v % 1) === 0.5 ? 2 * Math.round(v / 2) : Math.round(v)),
}

export const APPLYING: readonly string[] = Object.keys(FUNCTIONS)

/** `op(v)`; a size that has a name is whole and not negative. */
export function applied(op: string, dtype: DType, v: Element): Element {
  const f = FUNCTIONS[op]
  if (typeof v === 'string') return ['Abs', 'Floor', 'Ceil', 'Round'].includes(op) ? v : undefined
  if (!f || typeof v !== 'number') return undefined
  return dtype.startsWith('float') ? rounded(f(v), dtype) : f(v) + 0
}

const COMPARISONS: Readonly<Record<string, (a: Int64, b: Int64) => boolean>> = {
  // biome-ignore lint/suspicious/noDoubleEquals: a number equals the bigint of the same value
  Equal: (a, b) => a == b,
  Less: (a, b) => a < b,
  LessOrEqual: (a, b) => a <= b,
  Greater: (a, b) => a > b,
  GreaterOrEqual: (a, b) => a >= b,
}

export const COMPARING: readonly string[] = Object.keys(COMPARISONS)

/** Whether `a op b`, as 0 or 1. A size is never negative; two different names may stand for one number. */
export function compared(op: string, a: Element, b: Element): Element {
  const f = COMPARISONS[op]
  if (!f || a === undefined || b === undefined) return undefined
  if (isNumber(a) && isNumber(b)) return Number(f(a, b))
  if (a === b) return Number(f(0, 0))
  // Any size stands for all others where the other side is below them.
  if (isNumber(a) && a < 0) return Number(f(a, 0))
  return isNumber(b) && b < 0 ? Number(f(0, b)) : undefined
}

/** Integers that a dtype holds without loss. */
const RANGE: Readonly<Partial<Record<DType, readonly [least: Int64, most: Int64]>>> = {
  bool: [0, 1],
  int8: [-(2 ** 7), 2 ** 7 - 1],
  uint8: [0, 2 ** 8 - 1],
  int16: [-(2 ** 15), 2 ** 15 - 1],
  uint16: [0, 2 ** 16 - 1],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0, 2n ** 64n - 1n],
  float32: [-(2 ** 24), 2 ** 24],
  float64: [-(2 ** 53), 2 ** 53],
}

/** An element as another dtype. A size that has a name stays what it is. */
export function casted(v: Element, from: DType, to: DType): Element {
  if (!isNumber(v)) return to === 'bool' ? undefined : v
  if (to === 'bool') return Number(v !== 0 && v !== 0n)
  const [least, most] = RANGE[to] ?? []
  if (to.startsWith('float')) {
    if (from.startsWith('float'))
      return to === 'float32' ? Math.fround(Number(v)) : to === 'float64' ? v : undefined
    return least !== undefined && most !== undefined && v >= least && v <= most ? v : undefined
  }
  if (typeof v === 'number' && !Number.isFinite(v)) return undefined
  const whole = typeof v === 'number' ? Math.trunc(v) + 0 : v
  return least === undefined || most === undefined || (whole >= least && whole <= most) ? whole : undefined
}
