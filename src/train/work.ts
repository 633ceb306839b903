import type { Augmentation } from '../data/augment.ts'
import { batches, inMemory } from '../data/batches.ts'
import type { Dataset } from '../data/dataset.ts'
import type { Allocate } from '../data/memory.ts'
import { UserError } from '../graph/errors.ts'
import { type Ports, staged } from './examples.ts'
import { examples } from './forward.ts'
import type { Examples, ExamplesOfSteps } from './step/examples.ts'

/** What the runtime is given at a time. */
export type Work = {
  /** Number of the first step, counted from 1, of the run. */
  readonly first: number
  /** Learning rate of each step. */
  readonly rates: readonly number[]
} & (
  | { readonly examples: ExamplesOfSteps }
  /** Micro-batches of one step. */
  | { readonly micro: readonly Examples[] }
)

export interface WorkOptions {
  readonly batch: number
  readonly accumulate: number
  readonly stepsPerRun: number
  /** Steps of an epoch, where that is known. */
  readonly perEpoch: number | undefined
  readonly seed: number
  readonly augment?: Augmentation | undefined
  /** Learning rate of a step. @param step counted from 1 */
  readonly rate: (step: number) => number
  readonly allocate: Allocate
  readonly ports: Ports
}

/** Steps of an epoch: updates of the parameters; undefined if unknown. */
export function stepsOf(
  data: { readonly size?: number | undefined; readonly batchesOf?: ((batch: number) => number) | undefined },
  { batch, accumulate }: Pick<WorkOptions, 'batch' | 'accumulate'>,
): number | undefined {
  if (data.batchesOf) return Math.ceil(data.batchesOf(batch) / accumulate)
  return data.size === undefined ? undefined : Math.ceil(data.size / (batch * accumulate))
}

/** An epoch's work in order. @param done steps done before, of the whole run @param within those of this epoch */
export async function* workOf(
  data: Dataset,
  epoch: number,
  done: number,
  within: number,
  options: WorkOptions,
): AsyncGenerator<Work> {
  const { batch, accumulate, stepsPerRun, seed, augment, rate, allocate, ports, perEpoch } = options
  const source = batches(data, { batch, seed, epoch, skip: within * accumulate, augment })
  // What is in memory was looked at before the first step.
  const checked = counted(data, examples(data.name, ports, source, !inMemory(data)), within > 0)
  const limit = perEpoch === undefined ? Number.POSITIVE_INFINITY : perEpoch - within
  let first = done + 1
  if (accumulate === 1) {
    for await (const e of staged(atMost(checked, limit), ports, allocate, stepsPerRun)) {
      yield { examples: e, first, rates: Array.from({ length: e.steps }, (_, i) => rate(first + i)) }
      first += e.steps
    }
    return
  }
  let micro: Examples[] = []
  for await (const e of atMost(checked, limit * accumulate)) {
    micro.push(copied(e))
    if (micro.length < accumulate) continue
    yield { micro, first, rates: [rate(first)] }
    micro = []
    first++
  }
  if (micro.length) yield { micro, first, rates: [rate(first)] }
}

/** Batches share memory that the next one overwrites. */
const copied = ({ arrays, sizes }: Examples): Examples => ({
  sizes,
  arrays: Object.fromEntries(
    Object.entries(arrays).map(([name, { data, dims }]) => [name, { data: data.slice(), dims }]),
  ),
})

async function* atMost<T>(source: AsyncIterable<T>, count: number): AsyncGenerator<T> {
  let left = count
  if (left <= 0) return
  for await (const item of source) {
    yield item
    if (--left <= 0) return
  }
}

/** @param resumed whether batches were left out at the start @throws UserError when there are not as many examples as promised */
async function* counted(
  { name, size }: Dataset,
  source: AsyncIterable<Examples>,
  resumed: boolean,
): AsyncGenerator<Examples> {
  let seen = 0
  for await (const e of source) {
    seen += Number(e.sizes.batch ?? 1)
    if (size !== undefined && seen > size)
      throw new UserError(`${name}: yielded more than the ${size} examples that its size declares`)
    yield e
  }
  if (resumed) return
  if (size !== undefined && seen < size)
    throw new UserError(`${name}: yielded ${seen} of the ${size} examples that its size declares`)
  if (!seen) throw new UserError(`${name}: yielded no batch; a stream must be iterable again for each epoch`)
}
