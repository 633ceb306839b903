import { readSafetensors, type SafeTensor, writeSafetensors } from '../export/safetensors.ts'
import { UserError } from '../graph/errors.ts'
import type { State } from './executor.ts'
import { type Layout, views } from './layout.ts'

/** Key of the metadata under which the CRC-32 of all else in the file stands. */
const CHECKSUM = 'crc32'

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let c = byte
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
  return c
})

/** CRC-32 (ISO-HDLC, as in PNG and gzip) as hexadecimal digits. */
function crc32(bytes: Uint8Array): string {
  let c = -1
  for (let i = 0; i < bytes.length; i++) c = CRC_TABLE[(c ^ bytes[i]!) & 0xff]! ^ (c >>> 8)
  return (~c >>> 0).toString(16).padStart(8, '0')
}

/** Prefix of a moment vector's name in the file; parameters stand under their own (timm) names. */
const MOMENT = 'optimizer.'

/**
 * A run's state as a safetensors file: each parameter under its own name and shape, so that other programs can read it, and
 * the optimizer's flat moments beside them. The metadata gets a checksum of everything else.
 */
export function writeCheckpoint(layout: Layout, state: State, metadata: Record<string, string>): Uint8Array {
  const tensors: Record<string, SafeTensor> = {}
  const parameters = views(layout, state.params!)
  for (const slot of layout.slots)
    tensors[slot.name] = { dtype: 'float32', shape: slot.shape, data: parameters.get(slot.name)! }
  for (const [name, data] of Object.entries(state))
    if (name !== 'params') tensors[MOMENT + name] = { dtype: 'float32', shape: [layout.size], data }
  return writeSafetensors(tensors, { ...metadata, [CHECKSUM]: crc32(writeSafetensors(tensors, metadata)) })
}

/** A checkpoint whose content is, bit for bit, what was written. */
export interface CheckpointFile {
  /** What error messages call the file. */
  readonly name: string
  readonly bytes: Uint8Array
  readonly tensors: Readonly<Record<string, SafeTensor>>
  /** Without the checksum. */
  readonly metadata: Readonly<Record<string, string>>
}

/** @throws UserError when the file is damaged, or not a checkpoint of onnxgrad */
export function openCheckpoint(bytes: Uint8Array, name: string): CheckpointFile {
  const { tensors, metadata: all } = readSafetensors(bytes, name)
  const { [CHECKSUM]: checksum, ...metadata } = all
  if (checksum === undefined)
    throw new UserError(
      `${name}: has no checksum (${CHECKSUM} in its metadata), with which onnxgrad writes every checkpoint since 0.1.0: the file is damaged, or another program wrote it; use a checkpoint that \`onnxgrad train\` or the lab wrote`,
    )
  // Equal content has equal bytes.
  if (checksum !== crc32(writeSafetensors(tensors, metadata)))
    throw new UserError(
      `${name}: its content does not have the checksum that it was written with: the file is damaged`,
    )
  return { name, bytes, tensors, metadata }
}

/**
 * Parameters and moments of a checkpoint, for a model of the given layout.
 * @throws UserError when a parameter is missing, has another shape, or does not belong to the model
 */
export function stateOf({ name, bytes, tensors }: CheckpointFile, layout: Layout): State {
  // A record may name a model of any size; what is made for it is no larger than the file.
  if (4 * layout.size > bytes.length)
    throw new UserError(
      `${name}: has ${bytes.length} bytes, and its model's ${layout.size} parameters need more: the file belongs to another model`,
    )
  // Names come from the file: none of them may be a prototype's.
  const state: Record<string, Float32Array> = Object.assign(Object.create(null), {
    params: new Float32Array(layout.size),
  })
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
    const vector = key.slice(MOMENT.length)
    const fits = t.dtype === 'float32' && t.data.length === layout.size
    if (!key.startsWith(MOMENT) || !fits || vector in state)
      throw new UserError(`${name}: ${key} does not belong to the model`)
    state[vector] = t.data as Float32Array
  }
  return state
}
