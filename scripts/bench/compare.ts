import { UserError } from '../../src/graph/errors.ts'
import { nth } from '../../src/graph/present.ts'
import type { Participant, Step } from './peers/protocol.ts'
import { interleaved, type Measuring, median, quantile, ratio } from './timing.ts'

/** Our step beside that of another; times in milliseconds, medians. */
export interface Comparison {
  readonly version: string
  readonly stepMs: number
  readonly oursMs: number
  /** Our time over theirs in the same moments. */
  readonly ratio: number
  /** The same of 20th percentiles, which other load on the machine moves less. */
  readonly ratioP20: number
  /** Largest memory of the processes, as far as they know it. */
  readonly peakMB?: number
  readonly oursPeakMB?: number
  /** Loss of the one batch before the first update, and after so many steps. */
  readonly loss: { readonly first: number; readonly last: number; readonly steps: number }
}

/** Why there is no comparison. */
export interface Missing {
  readonly missing: string
}

/** A peer that cannot be started is named, with how to get it. */
export async function orMissing<T>(install: string, work: () => Promise<T>): Promise<T | Missing> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return { missing: `${error.message}; to install it: ${install}` }
  }
}

/** How long a turn lasts at least, in milliseconds. */
const TURN = 30

/**
 * A participant's steps so far, and its turn: some steps in a row, as in training, whose median is its time. The first
 * of them does not count, for it brings back the caches that others used.
 */
export function recorded(participant: Participant) {
  const steps: Step[] = []
  const step = async () => {
    const taken = await participant.step()
    steps.push(taken)
    return taken.ms
  }
  const turn = async () => {
    await step()
    const times: number[] = []
    for (let ms = 0; ms < TURN; ms += nth(times, -1)) times.push(await step())
    return median(times)
  }
  return { steps, turn }
}
export type Recorded = ReturnType<typeof recorded>

const TOLERANCE = 1e-4

/**
 * Runs ours and another in turns.
 * @throws Error unless both start with the same loss and the other's falls: it would be another model, or none
 */
export async function compare(ours: Recorded, name: string, other: Participant): Promise<Comparison> {
  const theirs = recorded(other)
  const measuring: Measuring = { warmUp: 2, rounds: 60, seconds: 20, least: 4 }
  const [mine, their] = await interleaved([ours.turn, theirs.turn], measuring)
  const first = nth(theirs.steps, 0)
  const last = nth(theirs.steps, -1)
  const expected = nth(ours.steps, 0).loss
  if (!(Math.abs(first.loss - expected) <= TOLERANCE * Math.max(1, expected)))
    throw new Error(`internal: ${name} starts with a loss of ${first.loss} where ours is ${expected}`)
  if (!(last.loss < first.loss))
    throw new Error(`internal: the loss of ${name} does not fall: ${first.loss}, then ${last.loss}`)
  return {
    version: other.version,
    stepMs: median(their),
    oursMs: median(mine),
    ratio: ratio(mine, their),
    ratioP20: quantile(mine, 0.2) / quantile(their, 0.2),
    ...peaks(last, nth(ours.steps, -1)),
    loss: { first: first.loss, last: last.loss, steps: theirs.steps.length },
  }
}

const peaks = ({ peakMB }: Step, { peakMB: oursPeakMB }: Step) =>
  peakMB && oursPeakMB ? { peakMB, oursPeakMB } : {}
