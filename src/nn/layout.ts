import type { Init } from '../graph/init.ts'
import { type Parameter, parameterAttrs } from '../graph/leaf.ts'
import { hash, type Rng, rng } from '../graph/random.ts'

/** The position of one parameter in a flat vector. */
export interface Slot {
  /** Of the parameter. */
  readonly name: string
  /** Of the parameter. */
  readonly shape: readonly number[]
  /** Of its first value in the vector. */
  readonly offset: number
  /** How many values it has. */
  readonly size: number
  /** How it is initialized. */
  readonly init: Init
  /** Whether weight decay applies to it. */
  readonly decay: boolean
  /** Whether it is a buffer: kept, not trained. */
  readonly buffer: boolean
}

/** The layout of parameters in one vector, in the order of declaration. */
export interface Layout {
  /** In order. */
  readonly slots: readonly Slot[]
  /** Values in all. */
  readonly size: number
}

/** Consecutive parameters with vectors of their own, in which the slots' offsets are; `offset` is in the whole. */
export interface Part extends Layout {
  readonly offset: number
}

/** A layout in parts of at least `least` values; one for a small model. */
export function partsOf({ slots }: Layout, least: number): Part[] {
  const parts: Part[] = []
  let own: Slot[] = []
  let [offset, size] = [0, 0]
  for (const slot of slots) {
    own.push({ ...slot, offset: size })
    size += slot.size
    if (size < least && slot !== slots.at(-1)) continue
    parts.push({ slots: own, size, offset })
    ;[own, offset, size] = [[], offset + size, 0]
  }
  return parts
}

/** The layout of all parameters of a model, buffers included. */
export const layoutOf = (parameters: ReadonlyMap<string, Parameter>): Layout =>
  packed(
    [...parameters].map(([name, p]) => {
      const { shape, init, decay, buffer } = parameterAttrs(p)
      return { name, shape, size: shape.reduce((a, b) => a * b, 1), init, decay, buffer }
    }),
  )

/** The layout of those parameters that a test picks, one after the other. */
export const subLayout = ({ slots }: Layout, picks: (slot: Slot) => boolean): Layout =>
  packed(slots.filter(picks))

function packed(slots: readonly Omit<Slot, 'offset'>[]): Layout {
  let size = 0
  const placed = slots.map(slot => {
    size += slot.size
    return { ...slot, offset: size - slot.size }
  })
  return { slots: placed, size }
}

function draw(init: Init, random: Rng, i: number): number {
  switch (init.kind) {
    case 'constant':
      return init.value
    case 'values':
      return init.values[i] ?? 0
    case 'normal':
      return init.std * random.normal()
    case 'uniform':
      return init.bound * (2 * random.uniform() - 1)
    case 'truncNormal': {
      for (;;) {
        const x = random.normal()
        if (Math.abs(x) <= 2) return init.std * x
      }
    }
  }
}

/** Initial parameters. Each has its own random stream, seeded with its name: adding a layer does not change the others. */
export function initialize({ slots, size }: Layout, seed: number): Float32Array {
  const flat = new Float32Array(size)
  for (const slot of slots) {
    const random = rng(hash(seed, slot.name))
    for (let i = 0; i < slot.size; i++) flat[slot.offset + i] = draw(slot.init, random, i)
  }
  return flat
}

/** View of each parameter in a flat vector. */
export const views = <A extends { subarray(begin: number, end: number): A }>(
  { slots }: Layout,
  flat: A,
): Map<string, A> => new Map(slots.map(s => [s.name, flat.subarray(s.offset, s.offset + s.size)]))

/** Copies the values of the parameters that both layouts have, from one flat vector into another. */
export function copyShared(from: Layout, source: Float32Array, to: Layout, target: Float32Array): void {
  const values = views(from, source)
  for (const [name, place] of views(to, target)) {
    const own = values.get(name)
    if (own) place.set(own)
  }
}
