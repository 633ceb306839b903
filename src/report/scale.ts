import { nth } from '../graph/present.ts'
import { percent } from './text.ts'

/** Where the values of a chart are placed, and how they are said. */
export interface Scale {
  /** The place of a value. */
  readonly of: (value: number) => number
  /** Places of the lower end and of the upper one. */
  readonly domain: readonly [number, number]
  readonly ticks: readonly Tick[]
  /** A value in words. */
  readonly say: (value: number) => string
}

export interface Tick {
  readonly at: number
  readonly label: string
}

/** Three digits that count: `1,234,000`, `0.0125`, `2e-5`. */
export const plain = (v: number): string => {
  const rounded = Number(v.toPrecision(3))
  return rounded && Math.abs(rounded) < 1e-4
    ? rounded.toExponential().replace('-', '−')
    : rounded.toLocaleString('en-US', { maximumSignificantDigits: 3 })
}

/** At most so many ticks, so that their names have room. */
const MOST_TICKS = 6

const STEPS = [1, 2, 2.5, 5, 10]

/** Multiples of a round step from 0 to `most`, and to the next one beyond it. */
export function evenTicks(most: number, { whole = false, beyond = true } = {}): number[] {
  const size = 10 ** Math.floor(Math.log10(most / MOST_TICKS))
  const steps = [size, 10 * size].flatMap(of => STEPS.map(s => s * of))
  const step = steps.find(s => s * MOST_TICKS >= most && (!whole || Number.isInteger(s))) ?? most
  const count = most / step
  return Array.from({ length: (beyond ? Math.ceil(count) : Math.floor(count)) + 1 }, (_, i) =>
    Number((i * step).toPrecision(12)),
  )
}

const itself = (value: number): number => value

/** From 0, evenly. */
export function fromZero(values: readonly number[]): Scale {
  const ticks = evenTicks(Math.max(...values) || 1)
  return {
    of: itself,
    domain: [0, nth(ticks, -1)],
    ticks: ticks.map(at => ({ at, label: plain(at) })),
    say: plain,
  }
}

/** Round numbers between two, as far apart by their logarithm as there is room for. */
export function logTicks(least: number, most: number): number[] {
  const first = Math.floor(Math.log10(least))
  const decades = Array.from({ length: Math.ceil(Math.log10(most)) - first + 1 }, (_, i) => first + i)
  const every = (n: number, factors: readonly number[]) =>
    decades
      .filter(d => d % n === 0)
      .flatMap(d => factors.map(f => Number(`${f}e${d}`)))
      .filter(t => t >= least && t <= most)
  const choices = [every(1, [1, 2, 5]), every(1, [1, 3]), ...[1, 2, 3, 5, 10].map(n => every(n, [1]))]
  return choices.find(ticks => ticks.length <= MOST_TICKS) ?? []
}

/** As {@link fromZero}; of values that differ by more than 20 times by their logarithm. */
export function amounts(values: readonly number[]): Scale {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  if (!(least > 0 && most / least > 20)) return fromZero(values)
  const [low, high] = [least / 1.1, most * 1.1]
  return {
    of: Math.log10,
    domain: [Math.log10(low), Math.log10(high)],
    ticks: logTicks(low, high).map(v => ({ at: Math.log10(v), label: plain(v) })),
    say: plain,
  }
}

/** As many digits as it takes to tell a share from 1. */
const almost = (missing: number): string =>
  percent(1 - missing, Math.max(0, Math.ceil(-Math.log10(missing) - 1e-9) - 2))

/**
 * Shares from 0 to 1. Where one is close to 1, by the logarithm of what is missing, upside down: from 98 to 99 % is as far as
 * from 99 to 99.5 %.
 */
export function shares(values: readonly number[]): Scale {
  const say = (share: number) => percent(share, 2)
  const missing = values.map(v => 1 - v).filter(v => v > 0)
  const [least, most] = [Math.min(...missing), Math.max(...missing)]
  if (!missing.length || least > 0.08)
    return { of: itself, domain: [0, 1], ticks: evenTicks(1).map(at => ({ at, label: percent(at, 0) })), say }
  // Nothing missing has no logarithm: it gets the upper end.
  const whole = missing.length < values.length
  const [low, high] = [most * 1.2, whole ? least / 3 : least / 1.2]
  const of = (share: number) => -Math.log10(Math.max(high, 1 - share))
  const ticks = logTicks(whole ? least : high, low).map(e => ({ at: -Math.log10(e), label: almost(e) }))
  return {
    of,
    domain: [-Math.log10(low), of(1)],
    ticks: whole ? [...ticks, { at: of(1), label: percent(1, 0) }] : ticks,
    say,
  }
}
