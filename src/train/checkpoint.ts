import { readSafetensors, type SafeTensor, writeSafetensors } from '../export/safetensors.ts'
import { UserError } from '../graph/errors.ts'
import type { State } from './executor.ts'
import { type Layout, views } from './layout.ts'

/** Prefix of a moment vector's name in the file; parameters stand under their own (timm) names. */
const MOMENT = 'optimizer.'

/**
 * A run's state as a safetensors file: each parameter under its own name and shape, so that other programs can read it, and
 * the optimizer's flat moments beside them.
 */
export function writeCheckpoint(layout: Layout, state: State, metadata: Record<string, string>): Uint8Array {
  const tensors: Record<string, SafeTensor> = {}
  const parameters = views(layout, state.params!)
  for (const slot of layout.slots)
    tensors[slot.name] = { dtype: 'float32', shape: slot.shape, data: parameters.get(slot.name)! }
  for (const [name, data] of Object.entries(state))
    if (name !== 'params') tensors[MOMENT + name] = { dtype: 'float32', shape: [layout.size], data }
  return writeSafetensors(tensors, metadata)
}

/**
 * Parameters and moments of a checkpoint, for a model of the given layout.
 * @throws UserError when a parameter is missing, has another shape, or does not belong to the model
 */
export function readCheckpoint(
  layout: Layout,
  bytes: Uint8Array,
  name: string,
): { state: State; metadata: Readonly<Record<string, string>> } {
  const { tensors, metadata } = readSafetensors(bytes, name)
  const state: Record<string, Float32Array> = { params: new Float32Array(layout.size) }
  for (const slot of layout.slots) {
    const t = tensors[slot.name]
    if (!t)
      throw new UserError(`${name}: parameter ${slot.name} is missing: the file belongs to another model`)
    if (t.dtype !== 'float32' || t.shape.join() !== slot.shape.join())
      throw new UserError(
        `${name}: parameter ${slot.name} is ${t.dtype} [${t.shape.join()}], the model has float32 [${slot.shape.join()}]`,
      )
    state.params!.set(t.data as Float32Array, slot.offset)
  }
  const own = new Set(layout.slots.map(s => s.name))
  for (const [key, t] of Object.entries(tensors)) {
    if (own.has(key)) continue
    if (!key.startsWith(MOMENT) || t.data.length !== layout.size)
      throw new UserError(`${name}: ${key} does not belong to the model`)
    state[key.slice(MOMENT.length)] = t.data as Float32Array
  }
  return { state, metadata }
}
