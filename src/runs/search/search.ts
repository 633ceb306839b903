import { nth } from '../../graph/present.ts'
import type { Measured } from '../../train/measured.ts'
import { isBetter, monitorOf } from '../../train/progress.ts'
import type { Standing } from '../standing.ts'

/** How trials are chosen. */
export interface Search {
  /** Epochs to which trials are trained before some of them go on; the last: all epochs. */
  readonly rungs: readonly number[]
  /** Of so many trials of a rung, one goes on to the next. */
  readonly eta: number
  /** What decides which of two is better: `loss`, or a metric. */
  readonly metric: string
}

/**
 * Rungs from `least` to `epochs` in even proportions, as near to `eta` as whole rungs allow: 1, 3, 9, 27 for eta 3.
 * @param eta at least 2
 */
export function halvingRungs(least: number, epochs: number, eta: number): number[] {
  if (least >= epochs) return [epochs]
  const steps = Math.max(1, Math.round(Math.log(epochs / least) / Math.log(eta)))
  return Array.from({ length: steps + 1 }, (_, i) => Math.round(least * (epochs / least) ** (i / steps)))
}

/** The best epoch up to one, from 1: what the trial would answer with, had it ended there. */
export function bestUpTo(
  { epochs }: Standing,
  until: number,
  metric: string,
): { readonly measured: Measured; readonly epoch: number } | undefined {
  let best: { readonly measured: Measured; readonly epoch: number } | undefined
  const monitor = monitorOf(metric)
  for (const [i, figures] of epochs.slice(0, until).entries())
    if (!best || isBetter(figures, best.measured, monitor)) best = { measured: figures, epoch: i + 1 }
  return best
}

/** Trials by what they had come to after some epochs, the best first; ties by number. Those without a figure are left out. */
export function ranked(
  trials: readonly number[],
  standings: readonly Standing[],
  until: number,
  metric: string,
): number[] {
  const monitor = monitorOf(metric)
  return trials
    .flatMap(trial => {
      const best = bestUpTo(nth(standings, trial), until, metric)
      return best ? [{ trial, best }] : []
    })
    .sort((a, b) => {
      if (isBetter(a.best.measured, b.best.measured, monitor)) return -1
      return isBetter(b.best.measured, a.best.measured, monitor) ? 1 : a.trial - b.trial
    })
    .map(({ trial }) => trial)
}

/**
 * Successive halving (Jamieson & Talwalkar 2016; the inner loop of Hyperband, Li et al. 2018): all trials train to the first
 * rung, the best ⌊n/eta⌋ of them to the second, ⌊n/eta²⌋ to the third, at least one to the last. One that fails on its way
 * leaves its place to the next best. With a single rung it is random search.
 *
 * It is decided anew from the standings alone, so that a search goes on wherever it was stopped.
 * @returns the trials of each rung, the best of the rung before first, as far as they are known: those of the next are once
 * all of a rung have come through
 */
export function fields({ rungs, eta, metric }: Search, standings: readonly Standing[]): number[][] {
  const last = rungs.at(-1)
  /** Whether a trial has not failed before the end of a rung; the last one takes the run's end too: its result. */
  const takesPart = ({ failed, epochs }: Standing, until: number) =>
    !failed || (epochs.length >= until && until !== last)
  let from = [...standings.keys()]
  const known: number[][] = []
  for (const [i, until] of rungs.entries()) {
    const places = Math.max(1, Math.floor(standings.length / eta ** i))
    const field = from.filter(t => takesPart(nth(standings, t), until)).slice(0, places)
    known.push(field)
    if (field.some(t => isOpen(nth(standings, t), rungs, until))) break
    from = ranked(field, standings, until, metric)
  }
  return known
}

const isOpen = ({ epochs, ended, failed }: Standing, rungs: readonly number[], until: number): boolean =>
  !ended && !failed && (epochs.length < until || until === rungs.at(-1))

export interface Todo {
  readonly trial: number
  /** From 0. */
  readonly rung: number
  /** The epoch to train to. */
  readonly until: number
  /** The trials of the rung. */
  readonly field: readonly number[]
}

/** What is to be trained next, and to which epoch; undefined where the search is over. */
export function next(search: Search, standings: readonly Standing[]): Todo | undefined {
  const known = fields(search, standings)
  const rung = known.length - 1
  const until = nth(search.rungs, rung)
  const field = nth(known, rung)
  const trial = field.find(t => isOpen(nth(standings, t), search.rungs, until))
  return trial === undefined ? undefined : { trial, rung, until, field }
}

/** All trials, the best first: those that came to their end, then by how far they came; within each by what they came to. */
export function order({ rungs, metric }: Search, standings: readonly Standing[]): number[] {
  const level = ({ failed, ended, epochs }: Standing) => {
    if (failed) return -1
    return ended ? Number.POSITIVE_INFINITY : epochs.length
  }
  const levels = [...new Set(standings.map(level))].sort((a, b) => b - a)
  return levels.flatMap(l => {
    const trials = [...standings.keys()].filter(t => level(nth(standings, t)) === l)
    const first = ranked(trials, standings, nth(rungs, -1), metric)
    return [...first, ...trials.filter(t => !first.includes(t))]
  })
}

/** The best of the trials that have come to their end; undefined where none has. */
export function winner(search: Search, standings: readonly Standing[]): number | undefined {
  const best = order(search, standings)[0]
  return best !== undefined && nth(standings, best).ended && !nth(standings, best).failed ? best : undefined
}
