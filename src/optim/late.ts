import { lookup } from '../graph/present.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import type { Layout, Slot } from '../nn/layout.ts'
import { add, greater, mul, where } from '../ops/elementwise.ts'
import { type Grouping, settingOf, spread } from './groups.ts'
import type { Optimizer } from './optimizer.ts'

type Scalars = Readonly<Record<string, number>>
type ScalarTensors = Readonly<Record<string, AnyTensor>>

const fromOf = ({ groups }: Grouping, slot: Slot): number => settingOf(groups, slot, 'from') ?? 0

/** The steps after which groups begin, each once, without 0. */
const startsOf = ({ groups }: Grouping): number[] =>
  [...new Set(groups.map(g => g.from ?? 0))].filter(from => from > 0).sort((a, b) => a - b)

const lateName = (name: string, from: number): string => (from ? `${name}.${from}` : name)
const gateName = (from: number): string => lateName('gate', from)

/**
 * Scalars of the groups that begin late: whether each has begun, and the optimizer's, whose count of steps begins with the
 * group.
 * @param step counted from 1 @param lr the scheduled learning rate
 */
export const lateScalars = (optimizer: Optimizer, step: number, lr: number): Scalars =>
  Object.fromEntries(
    startsOf(optimizer.grouping).flatMap(from => {
      const own = optimizer.scalars(Math.max(1, step - from), lr)
      const named = Object.entries(own).map(([name, value]) => [lateName(name, from), value] as const)
      return [[gateName(from), Number(step > from)] as const, ...named]
    }),
  )

/** How the parameters of a part begin. */
export interface Late {
  /** The optimizer's scalars, `[P]` where parameters have different ones. */
  readonly scalars: ScalarTensors
  /** The value after a step: the present one where the parameters have not begun. */
  readonly gated: (next: AnyTensor, present: AnyTensor) => AnyTensor
  /** Zeros where the parameters have not begun. */
  readonly gradient: (g: AnyTensor) => AnyTensor
}

/** @param scalars of an update, those of {@link lateScalars} among them */
export function lateOf({ slots, size }: Layout, optimizer: Optimizer, scalars: ScalarTensors): Late {
  const { grouping } = optimizer
  const starts = [...new Set(slots.map(s => fromOf(grouping, s)))]
  if (starts.every(from => from === 0)) return { scalars, gated: next => next, gradient: g => g }
  const only = starts.length === 1
  const mask = (from: number) => spread(slots, size, s => Number(fromOf(grouping, s) === from))
  /** A value for each parameter: that of the step after which it begins. */
  const each = (of: (from: number) => AnyTensor): AnyTensor =>
    starts.map(from => (only ? of(from) : mul(mask(from), of(from)))).reduce((a, b) => add(a, b))
  const own = Object.keys(optimizer.scalars(1, optimizer.lr)).map(
    name => [name, each(from => lookup(scalars, lateName(name, from)))] as const,
  )
  // Those that begin at once have a mask and no gate.
  const begun = starts.map(from => {
    if (!from) return mask(0)
    const gate = lookup(scalars, gateName(from))
    return only ? gate : mul(mask(from), gate)
  })
  const open = greater(
    begun.reduce((a, b) => add(a, b)),
    0,
  )
  return {
    scalars: { ...scalars, ...Object.fromEntries(own) },
    gated: (next, present) => where(open, next, present),
    gradient: g => where(open, g, 0),
  }
}
