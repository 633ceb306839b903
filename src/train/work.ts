import type { Augmentation } from '../data/augment.ts'
import { type Allocate, alternating, type Batches, batches } from '../data/batches.ts'
import type { Dataset } from '../data/dataset.ts'
import type { Share } from './executor.ts'

/** What the runtime is given at a time. */
export interface Work {
  readonly batch: Batches
  /** Number of the first step, counted from 1. */
  readonly first: number
  /** Learning rate of each step. */
  readonly rates: readonly number[]
  /** Where several batches make a step: the place of this one. */
  readonly share?: Share
}

export interface WorkOptions {
  readonly batch: number
  readonly accumulate: number
  readonly stepsPerRun: number
  readonly seed: number
  readonly augment?: Augmentation
  /** Learning rate of a step. @param step counted from 1 */
  readonly rate: (step: number) => number
  readonly allocate: Allocate
}

/** Steps of an epoch: updates of the parameters. */
export const stepsOf = (size: number, { batch, accumulate }: Pick<WorkOptions, 'batch' | 'accumulate'>) =>
  Math.ceil(size / (batch * accumulate))

/** An epoch's work in order. @param done steps done before, of the whole run */
export function* workOf(data: Dataset, epoch: number, done: number, options: WorkOptions): Generator<Work> {
  const { batch, accumulate, stepsPerRun, seed, augment, rate, allocate } = options
  const images = batch * accumulate
  let step = done - epoch * stepsOf(data.size, options)
  const source = batches(data, {
    batch,
    seed,
    epoch,
    skip: step * accumulate,
    ...(augment ? { augment } : {}),
  })
  let first = done + 1
  if (accumulate === 1) {
    for (const b of alternating(source, allocate, stepsPerRun)) {
      yield { batch: b, first, rates: Array.from({ length: b.steps }, (_, i) => rate(first + i)) }
      first += b.steps
    }
    return
  }
  let taken = 0
  for (const b of alternating(source, allocate)) {
    const all = Math.min(images, data.size - step * images)
    const share = { weight: b.count / all, first: taken === 0, last: taken + b.count === all }
    yield { batch: b, first, rates: [rate(first)], share }
    taken += b.count
    if (!share.last) continue
    taken = 0
    step++
    first++
  }
}
