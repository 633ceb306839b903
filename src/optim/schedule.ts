import { UserError } from '../graph/errors.ts'

/** A learning-rate schedule: the factor on the base rate at a step. */
export interface Schedule {
  /** Such as `cosine`. */
  readonly name: string
  /** What `at` depends on. */
  readonly settings: Readonly<Record<string, number>>
  /** @param step counted from 0 @param total steps of the whole run */
  readonly at: (step: number, total: number) => number
}

/** Half a cosine from `a` to `b` while `t` goes from 0 to 1. */
const cosineBetween = (a: number, b: number, t: number): number =>
  b + ((a - b) / 2) * (1 + Math.cos(Math.PI * t))

function share(name: string, what: string, value: number): void {
  if (!(value >= 0 && value < 1))
    throw new UserError(`${name}: ${what} must be at least 0 and below 1, not ${value}`)
}

/** The base rate throughout. */
export const constantRate = (): Schedule => ({ name: 'constant', settings: {}, at: () => 1 })

/** Half a cosine from 1 to `floor` over the run, as torch's CosineAnnealingLR with T_max = total (Loshchilov & Hutter 2017). */
export function cosine({ floor = 0 }: { readonly floor?: number } = {}): Schedule {
  share('cosine', 'floor', floor)
  return { name: 'cosine', settings: { floor }, at: (step, total) => cosineBetween(1, floor, step / total) }
}

/**
 * One cycle (Smith & Topin 2018) as torch's OneCycleLR with cosine annealing: up from 1 / `divide` over the first
 * `rise` of the run, then down to 1 / (`divide` · `finalDivide`).
 */
export function oneCycle({ rise = 0.3, divide = 25, finalDivide = 1e4 } = {}): Schedule {
  share('oneCycle', 'rise', rise)
  return {
    name: 'onecycle',
    settings: { rise, divide, finalDivide },
    at(step, total) {
      const top = rise * total - 1
      const start = 1 / divide
      if (step <= top) return cosineBetween(start, 1, top > 0 ? step / top : 1)
      return cosineBetween(1, start / finalDivide, (step - top) / Math.max(total - 1 - top, 1))
    },
  }
}

/** The rate is multiplied by `gamma` every `every` steps, like torch's StepLR. */
export function stepDecay({
  every,
  gamma = 0.1,
}: {
  readonly every: number
  readonly gamma?: number
}): Schedule {
  if (!Number.isInteger(every) || every < 1)
    throw new UserError(`stepDecay: every must be a whole number of steps of at least 1, not ${every}`)
  if (!(gamma > 0)) throw new UserError(`stepDecay: gamma must be above 0, not ${gamma}`)
  return { name: 'step', settings: { every, gamma }, at: step => gamma ** Math.floor(step / every) }
}

/** Linear warm-up over the first `steps` steps, then `schedule` over the rest. */
export function withWarmup(schedule: Schedule, steps: number): Schedule {
  if (!Number.isInteger(steps) || steps < 0)
    throw new UserError(`warm-up must be a whole number of steps of at least 0, not ${steps}`)
  if (steps === 0) return schedule
  return {
    name: schedule.name,
    settings: { ...schedule.settings, warmupSteps: steps },
    at: (step, total) =>
      step < steps ? (step + 1) / steps : schedule.at(step - steps, Math.max(total - steps, 1)),
  }
}

/** Schedules that programs know by name. */
export const SCHEDULES = { constant: constantRate, cosine, onecycle: oneCycle } as const
/** Name of a schedule in `SCHEDULES`. */
export type ScheduleName = keyof typeof SCHEDULES
