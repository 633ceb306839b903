import { UserError } from '../graph/errors.ts'
import { lookup } from '../graph/present.ts'
import { copyShared, type Layout, views } from '../nn/layout.ts'
import { EMA } from '../optim/ema.ts'
import { momentNames } from '../optim/update.ts'
import type { State } from './step/held.ts'
import { type Block, momentVector, ONLY, type StateLayout } from './step/state.ts'
import type { TaskPlan } from './step/step.ts'

/** Everything that the next training step depends on, apart from its settings and data. */
export interface TrainState {
  /** Steps done, of all tasks. */
  readonly step: number
  /** Steps done, by task; of the only task under an empty name. */
  readonly steps: Readonly<Record<string, number>>
  /** Flat vectors: the parameters of each block (`params` where one task trains all), moments, averages. */
  readonly vectors: Readonly<Record<string, Float32Array>>
}

/** The name and layout of every vector of a training's state. */
export function vectorLayouts(plans: readonly TaskPlan[], { blocks }: StateLayout): Map<string, Layout> {
  const moments = (block: Block) =>
    plans
      .filter(plan => block.trainedBy.includes(plan.name))
      .flatMap(plan => momentNames(plan).map(m => momentVector(plan.name, m, block)))
  return new Map(
    blocks.flatMap(block => [block.name, ...moments(block)].map(name => [name, block.layout] as const)),
  )
}

/** The vector with the values that a block answers with: its average where one is kept, else the parameters. */
export function answeringVector(plans: readonly TaskPlan[], block: Block): string {
  const plan = plans.find(p => p.ema !== undefined && block.trainedBy.includes(p.name))
  return plan ? momentVector(plan.name, EMA, block) : block.name
}

/**
 * A state's vectors from parameters in the model's order: averages begin at the parameters, moments at zero; vectors that
 * are given stay.
 * @throws UserError when a given vector has another size
 */
export function completeVectors(
  plans: readonly TaskPlan[],
  layout: StateLayout,
  params: Float32Array,
  given: State = {},
): State {
  const averages = new Set(layout.blocks.map(block => answeringVector(plans, block)))
  const vectors: Record<string, Float32Array> = {}
  for (const [name, own] of vectorLayouts(plans, layout)) {
    const size = given[name]?.length
    if (size !== undefined && size !== own.size)
      throw new UserError(`${name} has ${size} values, but this training needs ${own.size}`)
    vectors[name] = given[name] ?? new Float32Array(own.size)
    const isValue = averages.has(name) || layout.blocks.some(b => b.name === name)
    if (!given[name] && isValue) copyShared(layout.all, params, own, vectors[name])
  }
  return vectors
}

/** Parameters in the model's order. @param which the vector to take of each block */
export function flatParams(
  layout: StateLayout,
  vectors: State,
  which: (block: Block) => string,
): Float32Array {
  const flat = new Float32Array(layout.all.size)
  for (const block of layout.blocks) copyShared(block.layout, lookup(vectors, which(block)), layout.all, flat)
  return flat
}

/** The parameters that a training of one task answers with, in the model's order: their average, where one is kept. */
export const answeringParams = (layout: StateLayout, vectors: State): Float32Array =>
  flatParams(layout, vectors, block => {
    const average = momentVector(ONLY, EMA, block)
    return vectors[average] ? average : block.name
  })

/** Values by name that were given from outside, put into flat parameters. @throws UserError for what does not fit */
export function fillParams(
  layout: Layout,
  flat: Float32Array,
  given: Readonly<Record<string, ArrayLike<number>>>,
): void {
  const places = views(layout, flat)
  for (const [name, values] of Object.entries(given)) {
    const place = places.get(name)
    if (!place)
      throw new UserError(
        `weights: the model has no parameter ${name}; its names are like ${[...places.keys()].slice(0, 3).join(', ')}`,
      )
    if (place.length !== values.length)
      throw new UserError(`weights: ${name} has ${values.length} values, the model's has ${place.length}`)
    place.set(values)
  }
}
