import { UserError } from '../graph/errors.ts'
import { constant } from '../graph/leaf.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import type { Layout, Slot } from '../nn/layout.ts'
import { matchesName, type NamePattern } from './patterns.ts'

/** A group of parameters with its own settings; omitted settings are the optimizer's. */
export interface ParameterGroup {
  /** Which parameters: a pattern found in the name, or a whole name with `*` for any characters. */
  readonly match: NamePattern
  /** Base learning rate, scaled by the schedule as the optimizer's is; 0 freezes the parameters. */
  readonly lr?: number
  /** Also applies to parameters that have none by default, such as biases. */
  readonly weightDecay?: number
  /**
   * Steps of the training before which the parameters stay exactly as they are: step `from + 1` is the first that trains
   * them, and the optimizer's moments and count of steps begin there. Until then their gradient counts as 0, in `gradNorm`
   * and `clipNorm` as well. @default 0
   */
  readonly from?: number
}

/** An optimizer's groups with what they depart from. */
export interface Grouping {
  /** In this order; the first one that matches a parameter counts. */
  readonly groups: readonly ParameterGroup[]
  /** The optimizer's learning rate. */
  readonly lr: number
  /** The optimizer's weight decay. */
  readonly weightDecay: number
}

/** The weight decay that the factors of all parameters multiply: the optimizer's, or the largest of the groups. */
export const referenceDecay = ({ groups, weightDecay }: Omit<Grouping, 'lr'>): number =>
  weightDecay || Math.max(0, ...groups.map(g => g.weightDecay ?? 0))

/** How a configuration shows groups. */
export const describeGroups = (groups: readonly ParameterGroup[]) =>
  groups.map(({ match, ...settings }) => ({ match: String(match), ...settings }))

/** @throws UserError for a setting that is not a number of at least 0, or a rate that has nothing to be a part of */
export function checkGroups(name: string, { groups, lr }: Grouping): void {
  for (const { match, ...settings } of groups) {
    for (const [key, value] of Object.entries(settings))
      if (!(value >= 0 && Number.isFinite(value)))
        throw new UserError(`${name}: ${key} of group ${match} must be a number of at least 0, not ${value}`)
    if (!Number.isInteger(settings.from ?? 0))
      throw new UserError(
        `${name}: from of group ${match} must be a whole number of steps, not ${settings.from}`,
      )
    if (settings.lr !== undefined && lr === 0)
      throw new UserError(`${name}: group ${match} has a learning rate, so the optimizer's must be above 0`)
  }
}

const matches = ({ match }: ParameterGroup, name: string): boolean => matchesName(match, name)

/** A setting of a parameter: that of the last group that has one. */
export const settingOf = (
  groups: readonly ParameterGroup[],
  slot: Slot,
  key: 'lr' | 'weightDecay' | 'from',
): number | undefined => groups.findLast(g => g[key] !== undefined && matches(g, slot.name))?.[key]

export interface Factors {
  /** What each parameter's learning rate is multiplied by; left out where all learn at the optimizer's. */
  readonly rates?: AnyTensor
  /** What each parameter's weight decay is of {@link referenceDecay}. */
  readonly decays: AnyTensor
}

/** @throws UserError when a group matches no parameter */
export function checkMatches({ slots }: Layout, { groups }: Grouping): void {
  const idle = groups.find(g => !slots.some(s => matches(g, s.name)))
  if (idle)
    throw new UserError(
      `optimizer: no parameter matches ${idle.match}; their names are like ${slots
        .slice(0, 3)
        .map(s => s.name)
        .join(', ')}`,
    )
}

/**
 * Factors of each parameter, `[P]` where they differ and else a scalar. Where groups overlap, the last one that has a
 * setting gives it.
 */
export function factorsOf({ slots, size }: Layout, grouping: Grouping): Factors {
  const { groups, lr, weightDecay } = grouping
  const reference = referenceDecay(grouping)
  const rate = (slot: Slot): number => (settingOf(groups, slot, 'lr') ?? lr) / lr
  const decay = (slot: Slot): number => {
    const own = settingOf(groups, slot, 'weightDecay') ?? (slot.decay ? weightDecay : 0)
    return reference ? own / reference : Number(slot.decay)
  }
  const rated = groups.some(g => g.lr !== undefined)
  return {
    ...(rated ? { rates: spread(slots, size, rate) } : {}),
    decays: spread(slots, size, decay),
  }
}

/** A number for each parameter as a flat vector; one scalar when they are all equal. */
export function spread(slots: readonly Slot[], size: number, value: (slot: Slot) => number): AnyTensor {
  const first = slots[0] ? value(slots[0]) : 1
  if (slots.every(s => value(s) === first)) return constant(first, 'float32', [])
  const flat = new Float64Array(size)
  for (const s of slots) flat.fill(value(s), s.offset, s.offset + s.size)
  return constant(flat, 'float32', [size])
}
