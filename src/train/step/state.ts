import { input } from '../../graph/leaf.ts'
import { lookup, nth } from '../../graph/present.ts'
import type { Target } from '../../graph/target.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import { type Layout, type Part, partsOf, type Slot, subLayout } from '../../nn/layout.ts'

/** Parameters that are trained by the same tasks: they lie in one flat vector. */
export interface Block {
  /** Name of the vector with their values. */
  readonly name: string
  readonly layout: Layout
  /** The tasks that train them. */
  readonly trainedBy: readonly string[]
}

/** How the state of a training lies in flat vectors. */
export interface StateLayout {
  /** All parameters of the model, in its order. */
  readonly all: Layout
  readonly blocks: readonly Block[]
}

/** The vector of parameters that nothing trains, and that of buffers. */
export const FROZEN = 'frozen'
export const BUFFERS = 'buffers'

/** The name of the only task of a training. */
export const ONLY = ''

/**
 * Sorts a model's parameters into blocks. With one task that trains everything it is one block, `params`.
 * @param trains for each task, which parameters it trains
 */
export function stateLayout(
  all: Layout,
  trains: Readonly<Record<string, (slot: Slot) => boolean>>,
): StateLayout {
  const tasks = Object.keys(trains)
  const blockOf = (slot: Slot): string => {
    if (slot.buffer) return BUFFERS
    const own = tasks.filter(task => lookup(trains, task)(slot))
    if (!own.length) return FROZEN
    return tasks.length === 1 ? 'params' : `params.${own.join('+')}`
  }
  const names = [...new Set(all.slots.map(blockOf))]
  const order = [...names.filter(n => n !== FROZEN && n !== BUFFERS), FROZEN, BUFFERS]
  const blocks = order
    .filter(name => names.includes(name))
    .map((name): Block => {
      const layout = subLayout(all, slot => blockOf(slot) === name)
      const first = nth(layout.slots, 0)
      const trainedBy = first.buffer ? [] : tasks.filter(task => lookup(trains, task)(first))
      return { name, layout, trainedBy }
    })
  return { all, blocks }
}

/** The layout of a training in which one task trains every parameter. */
export const wholeLayout = (all: Layout): StateLayout => stateLayout(all, { [ONLY]: () => true })

/** A vector of a program's state, or a part of one. */
export interface StateVector {
  /** Of the program's input `state.<name>`; output `next.<name>` holds the new values. */
  readonly name: string
  /** The whole vector: the name of a block, or of a moment. */
  readonly vector: string
  readonly part: Part
}

/** The vector of an optimizer's moment for a block. */
export const momentVector = (task: string, moment: string, { name }: Block): string =>
  [task, moment, name.replace(/^params\.?/, '')].filter(Boolean).join('.')

/** A part of a block with the vectors that a program reads of it. */
export interface StatePart {
  readonly block: Block
  readonly part: Part
  readonly params: StateVector
  readonly moments: Readonly<Record<string, StateVector>>
}

/** The parts of blocks as a target prefers them; large vectors come in several. @param moments of a task, by its blocks */
export function statePartsOf(
  blocks: readonly Block[],
  target: Target,
  task: string,
  moments: readonly string[],
): StatePart[] {
  return blocks.flatMap(block => {
    const parts = partsOf(block.layout, target.statePart)
    return parts.map((part, i): StatePart => {
      const of = (vector: string): StateVector => ({
        name: parts.length > 1 ? `${vector}.${i}` : vector,
        vector,
        part,
      })
      return {
        block,
        part,
        params: of(block.name),
        moments: Object.fromEntries(moments.map(m => [m, of(momentVector(task, m, block))])),
      }
    })
  })
}

export const stateName = ({ name }: StateVector): string => `state.${name}`
export const nextName = ({ name }: StateVector): string => `next.${name}`

/** A state vector as an input of a program. */
export const stateInput = (v: StateVector): AnyTensor => input(stateName(v), 'float32', [v.part.size])
