import { UserError } from '../graph/errors.ts'
import { lookup, present } from '../graph/present.ts'
import { type Layout, layoutOf, views } from '../nn/layout.ts'
import type { Model } from '../nn/model.ts'
import { type TrainedModel, weightsOf } from '../nn/trained.ts'
import { checkEma } from '../optim/ema.ts'
import { adam } from '../optim/optimizer.ts'
import { matchesAny, matchesName, type NamePattern } from '../optim/patterns.ts'
import type { State } from './step/held.ts'
import { ONLY, type StateLayout, type StateVector, stateLayout } from './step/state.ts'
import type { TaskPlan } from './step/step.ts'
import type { StepSpec, StepSpecs, TrainerOptions } from './trainer-options.ts'

const firstNames = ({ slots }: Layout): string =>
  slots
    .slice(0, 3)
    .map(s => s.name)
    .join(', ')

/** @throws UserError for a pattern that no parameter's name matches */
function checkPatterns(
  what: string,
  patterns: NamePattern | readonly NamePattern[] | undefined,
  layout: Layout,
): void {
  const all = patterns === undefined ? [] : [patterns].flat()
  const idle = all.find(pattern => !layout.slots.some(slot => matchesName(pattern, slot.name)))
  if (idle !== undefined)
    throw new UserError(`${what}: no parameter matches ${idle}; their names are like ${firstNames(layout)}`)
}

/**
 * How the state of a training is laid out: which parameters each task trains.
 * @param specs what each task trains @throws UserError for a pattern that no parameter's name matches
 */
export function layoutFor(
  model: Model,
  specs: Readonly<Record<string, Pick<StepSpec, 'train'>>>,
  freeze?: TrainerOptions['freeze'],
): StateLayout {
  const all = layoutOf(model.parameters)
  checkPatterns('freeze', freeze, all)
  for (const [name, { train }] of Object.entries(specs))
    checkPatterns(name ? `${name}: train` : 'train', train, all)
  return stateLayout(
    all,
    Object.fromEntries(
      Object.entries(specs).map(([name, { train }]) => [
        name,
        slot => (train === undefined || matchesAny(train, slot.name)) && !matchesAny(freeze, slot.name),
      ]),
    ),
  )
}

/** The tasks of a training, and how they share the model's parameters. @throws UserError when they do not fit */
export function plansOf(
  model: Model,
  options: TrainerOptions,
): { readonly plans: readonly TaskPlan[]; readonly layout: StateLayout } {
  const specs: StepSpecs = 'steps' in options ? options.steps : { [ONLY]: options }
  if (!Object.keys(specs).length) throw new UserError('trainer: steps is empty; name at least one task')
  const layout = layoutFor(model, specs, options.freeze)
  const plans = Object.entries(specs).map(([name, { task, optimizer = adam(), clipNorm, ema }]): TaskPlan => {
    checkEma(ema)
    return { name, task: task.trace(model), layout, optimizer, clipNorm, ema }
  })
  return { plans, layout }
}

/** Weights by name. */
export const namedWeights = (
  weights: TrainedModel | Readonly<Record<string, ArrayLike<number>>>,
): Readonly<Record<string, ArrayLike<number>>> =>
  isWhole(weights) ? Object.fromEntries(weightsOf(weights)) : weights

/** Weights by name may be named `model` and `params`, too. */
const isWhole = (
  weights: TrainedModel | Readonly<Record<string, ArrayLike<number>>>,
): weights is TrainedModel =>
  'model' in weights &&
  'params' in weights &&
  weights.params instanceof Float32Array &&
  typeof weights.model === 'function'

/** What a vector has of parameters that are given in the model's order. */
export function partOf(
  { all, blocks }: StateLayout,
  { vector, part }: StateVector,
  params: Float32Array,
): Float32Array {
  const block = present(
    blocks.find(b => b.name === vector),
    `block ${vector}`,
  )
  const names = new Set(part.slots.map(s => s.name))
  const values = views(all, params)
  const own = new Float32Array(part.size)
  for (const slot of block.layout.slots)
    if (names.has(slot.name)) own.set(lookup(values, slot.name), slot.offset - part.offset)
  return own
}

/**
 * Vectors of parameters after a part of a model was moved to another: to ← to + rate · (from − to).
 * @param from, to paths of layers, or names of parameters
 * @returns the vectors that change
 * @throws UserError when they do not have the same parameters
 */
export function moved(
  { blocks }: StateLayout,
  vectors: State,
  from: string,
  to: string,
  rate: number,
): State {
  if (!(rate > 0 && rate <= 1)) throw new UserError(`copy: rate must be above 0 and at most 1, not ${rate}`)
  const next: Record<string, Float32Array> = {}
  const places = new Map<string, Float32Array>()
  for (const { name, layout } of blocks) {
    next[name] = lookup(vectors, name).slice()
    for (const [key, place] of views(layout, next[name])) places.set(key, place)
  }
  const below = (path: string) =>
    new Map(
      [...places.keys()]
        .filter(name => name === path || name.startsWith(`${path}.`))
        .map(name => [name.slice(path.length), name]),
    )
  const [sources, targets] = [below(from), below(to)]
  if (!sources.size) throw new UserError(`copy: the model has no parameters at ${from}`)
  for (const [rest, name] of sources) {
    const source = lookup(places, name)
    const target = places.get(targets.get(rest) ?? '')
    if (!target) throw new UserError(`copy: ${name} has no counterpart ${to}${rest}`)
    if (target.length !== source.length)
      throw new UserError(`copy: ${name} has ${source.length} values, ${to}${rest} has ${target.length}`)
    // Rounding must not make a copy that is not one.
    if (rate === 1) target.set(source)
    else
      for (let i = 0; i < target.length; i++)
        target[i] = Number(target[i]) + rate * (Number(source[i]) - Number(target[i]))
  }
  const changed = new Set(targets.values())
  const own = blocks.filter(({ layout }) => layout.slots.some(s => changed.has(s.name)))
  return Object.fromEntries(own.map(({ name }) => [name, lookup(next, name)]))
}
