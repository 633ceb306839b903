import { readFileSync } from 'node:fs'
import { nth } from '../../src/graph/present.ts'

export const quantile = (values: readonly number[], q: number): number =>
  nth(
    values.toSorted((a, b) => a - b),
    Math.min(values.length - 1, Math.floor(values.length * q)),
  )

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** Median of the ratios of neighbours in time, so that a machine's moods cancel. */
export const ratio = (a: readonly number[], b: readonly number[]): number =>
  median(a.map((t, i) => t / nth(b, i)))

/** Does something and says how many milliseconds it took. */
export type Work = () => Promise<number>

export const timed =
  (work: () => Promise<unknown>): Work =>
  async () => {
    const start = performance.now()
    await work()
    return performance.now() - start
  }

/** How long to measure: `rounds`, or fewer when `seconds` are over, but at least `least`. */
export interface Measuring {
  readonly warmUp?: number
  readonly rounds: number
  readonly seconds?: number
  readonly least?: number
}

/** Does each work once a round, in rotating order. The times of the first rounds do not count. */
export async function interleaved<const W extends readonly Work[]>(
  works: W,
  { warmUp = 5, rounds, seconds = Number.POSITIVE_INFINITY, least = 5 }: Measuring,
): Promise<{ readonly [I in keyof W]: readonly number[] }> {
  const times = works.map((): number[] => [])
  const round = async (n: number, count: boolean) => {
    for (let k = 0; k < works.length; k++) {
      const i = (k + n) % works.length
      const ms = await nth(works, i)()
      if (count) nth(times, i).push(ms)
    }
  }
  for (let n = 0; n < warmUp; n++) await round(n, false)
  const end = performance.now() + 1000 * seconds
  for (let n = 0; n < rounds && (n < least || performance.now() < end); n++) await round(warmUp + n, true)
  return times as { [I in keyof W]: number[] }
}

/** Largest memory of this process so far. */
export function peakMB(): number {
  // On Linux `maxRSS` is never below what the parent had when it started this process.
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS / 1024
  const kilobytes = /(?<=^VmHWM:\s+)\d+/m.exec(readFileSync('/proc/self/status', 'utf8'))
  return Number(kilobytes) / 1024
}
