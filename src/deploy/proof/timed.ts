import { nth, zip } from '../../graph/present.ts'
import type { Latency, Timing } from './proof.ts'

/** How long, and how often, each file is run at a size of batches. */
export interface Patience {
  /** Seconds for each file. */
  readonly seconds: number
  readonly least: number
  readonly most: number
}

export type Timer = (runs: number) => Promise<readonly number[]>

/** Of sorted values. */
const quantile = (sorted: readonly number[], share: number): number =>
  nth(sorted, Math.min(sorted.length - 1, Math.floor(share * sorted.length)))

export function latencyOf(times: readonly number[]): Latency {
  const sorted = times.toSorted((a, b) => a - b)
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) }
}

/** Milliseconds that a turn should take at least, so that changing turns does not count. */
const TURN_MS = 20
const MOST_OF_TURN = 16

/**
 * Times files by turns, reference, file, reference, file: what else the machine does meets both.
 * @returns the times of each, in the order of the timers
 */
export async function takeTurns(
  timers: readonly Timer[],
  { seconds, least, most }: Patience,
): Promise<readonly (readonly number[])[]> {
  const all = timers.map((): number[] => [])
  let longest = 0
  // The first run of a size allocates, and compiles shaders.
  for (const timer of timers) {
    await timer(1)
    longest = Math.max(longest, nth(await timer(1), 0))
  }
  const each = Math.max(1, Math.min(MOST_OF_TURN, Math.round(TURN_MS / Math.max(longest, 0.01))))
  const spent = () => Math.max(...all.map(times => times.reduce((a, b) => a + b, 0)))
  for (let done = 0; done < least || (done < most && spent() < 1000 * seconds); done += each)
    for (const [i, timer] of timers.entries()) nth(all, i).push(...(await timer(each)))
  return all
}

/** How many times longer each run of the reference took than the run of the file beside it: what slows down both is left out. */
const pairs = (reference: readonly number[], file: readonly number[]): number[] =>
  zip(reference, file).map(([theirs, ours]) => theirs / Math.max(ours, LEAST_MS))

/** Clocks resolve no shorter time. */
const LEAST_MS = 1e-4

const median = (values: readonly number[]): number =>
  quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  )

/** @param sizes of the batches: the file's, and the reference's, which is another where a file fixes it */
export function timingOf(
  [own = [], other]: readonly (readonly number[])[],
  sizes: { readonly file: number; readonly reference: number },
): Timing {
  const [file, reference] = [latencyOf(own), other && latencyOf(other)]
  const rate = (batch: number, { p50 }: Latency) => (1000 * batch) / Math.max(p50, LEAST_MS)
  const ours = rate(sizes.file, file)
  const theirs = reference && rate(sizes.reference, reference)
  return {
    batch: sizes.file,
    file,
    ...(reference ? { reference } : {}),
    throughput: { file: ours, ...(theirs === undefined ? {} : { reference: theirs }) },
    ...(other ? { speedup: (median(pairs(other, own)) * sizes.file) / sizes.reference } : {}),
  }
}
