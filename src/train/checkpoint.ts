import { readSafetensors, type SafeTensor, writeSafetensors } from '../export/safetensors.ts'
import { UserError } from '../graph/errors.ts'
import { isObject } from '../graph/keys.ts'
import { lookup } from '../graph/present.ts'
import { printable } from '../graph/printable.ts'
import { type Layout, views } from '../nn/layout.ts'
import type { TrainState } from './state.ts'
import type { State } from './step/held.ts'
import type { StateLayout } from './step/state.ts'

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
  for (let i = 0; i < bytes.length; i++) c = Number(CRC_TABLE[(c ^ Number(bytes[i])) & 0xff]) ^ (c >>> 8)
  return (~c >>> 0).toString(16).padStart(8, '0')
}

/** Key of a checkpoint's metadata, and of a run's settings, with the version of the format. */
export const FORMAT_KEY = 'format'
export const FORMAT = 2

/** Key of the metadata with the steps of each task, as JSON. */
const STEPS = 'steps'

/** Prefix of a moment vector's name in the file; parameters stand under their own (timm) names. */
const MOMENT = 'optimizer.'

/**
 * A training's state as a safetensors file: each parameter under its own name and shape, so that other programs can read
 * it, and the optimizer's flat moments beside them. The metadata gets a checksum of everything else.
 */
export function stateCheckpoint(
  layout: StateLayout,
  { steps, vectors }: Pick<TrainState, 'steps' | 'vectors'>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const tensors: Record<string, SafeTensor> = {}
  const values = new Map(
    layout.blocks.flatMap(block => [...views(block.layout, lookup(vectors, block.name))]),
  )
  for (const slot of layout.all.slots)
    tensors[slot.name] = { dtype: 'float32', shape: slot.shape, data: lookup(values, slot.name) }
  const blocks = new Set(layout.blocks.map(b => b.name))
  for (const [name, data] of Object.entries(vectors))
    if (!blocks.has(name)) tensors[MOMENT + name] = { dtype: 'float32', shape: [data.length], data }
  return writeCheckpoint({ tensors, steps, metadata })
}

/** The content of a checkpoint. */
export interface Checkpoint {
  /** Each parameter under its own name; the optimizer's flat vectors under `optimizer.*`. */
  readonly tensors: Readonly<Record<string, SafeTensor>>
  /** Steps of each task; of the only task under an empty name. Undefined in files of releases up to 0.1.0. */
  readonly steps: Readonly<Record<string, number>> | undefined
  /** Further values, such as a run's settings. */
  readonly metadata: Readonly<Record<string, string>>
}

/** A checkpoint as a safetensors file with a checksum, which {@link readCheckpoint} and the option `resume` read. */
export function writeCheckpoint({ tensors, steps, metadata }: Checkpoint): Uint8Array {
  const own = { ...metadata, [FORMAT_KEY]: String(FORMAT) }
  const all = steps ? { ...own, [STEPS]: JSON.stringify(steps) } : own
  return writeSafetensors(tensors, { ...all, [CHECKSUM]: crc32(writeSafetensors(tensors, all)) })
}

/** @param format what a file of a run says of its format; files before 2 say nothing @throws UserError for one that is not known here */
export function checkFormat(name: string, format: unknown): void {
  if (format === undefined || String(format) === String(FORMAT)) return
  throw new UserError(
    Number(format) > FORMAT
      ? `${name}: has format ${format}, this onnxgrad reads formats up to ${FORMAT}; read it with the version that wrote it`
      : `${name}: its format ${printable(String(format))} is not known: the file is damaged`,
  )
}

const areCounts = (value: unknown): value is Readonly<Record<string, number>> =>
  isObject(value) && Object.values(value).every(n => Number.isSafeInteger(n) && Number(n) >= 0)

function readSteps(name: string, text: string | undefined): Readonly<Record<string, number>> | undefined {
  if (text === undefined) return undefined
  try {
    const steps: unknown = JSON.parse(text)
    if (areCounts(steps)) return steps
  } catch {}
  throw new UserError(`${name}: its metadata ${STEPS} are damaged`)
}

/** A checkpoint whose content is, bit for bit, what was written. */
export interface CheckpointFile extends Checkpoint {
  /** What error messages call the file. */
  readonly name: string
  /** The file as it is. */
  readonly bytes: Uint8Array
}

/**
 * Reads a checkpoint that a `Trainer`, `onnxgrad train` or the lab wrote.
 * @param name what errors call the file
 * @throws UserError when the file is damaged, or not a checkpoint of onnxgrad
 */
export function readCheckpoint(bytes: Uint8Array, name: string): CheckpointFile {
  const { tensors, metadata: all } = readSafetensors(bytes, name)
  const { [CHECKSUM]: checksum, ...rest } = all
  if (checksum === undefined)
    throw new UserError(
      `${name}: has no checksum (${CHECKSUM} in its metadata), with which onnxgrad writes every checkpoint since 0.1.0: the file is damaged, or another program wrote it; use a checkpoint that \`onnxgrad train\` or the lab wrote`,
    )
  // Equal content has equal bytes.
  if (checksum !== crc32(writeSafetensors(tensors, rest)))
    throw new UserError(
      `${name}: its content does not have the checksum that it was written with: the file is damaged`,
    )
  const { [FORMAT_KEY]: format, [STEPS]: steps, ...metadata } = rest
  checkFormat(name, format)
  return { name, bytes, tensors, steps: readSteps(name, steps), metadata }
}

/**
 * Parameters and moments of a checkpoint, for a training of the given layout.
 * @throws UserError when a parameter is missing, has another shape, or does not belong to the model
 */
export function vectorsOf({ name, bytes, tensors }: CheckpointFile, layout: StateLayout): State {
  // A record may name a model of any size; what is made for it is no larger than the file.
  if (4 * layout.all.size > bytes.length)
    throw new UserError(
      `${name}: has ${bytes.length} bytes, and its model's ${layout.all.size} parameters need more: the file belongs to another model`,
    )
  // Names come from the file: none of them may be a prototype's.
  const vectors: Record<string, Float32Array> = Object.create(null)
  for (const block of layout.blocks) {
    vectors[block.name] = new Float32Array(block.layout.size)
    fill(name, tensors, block.layout, lookup(vectors, block.name))
  }
  const own = new Set(layout.all.slots.map(s => s.name))
  for (const [key, t] of Object.entries(tensors)) {
    if (own.has(key)) continue
    const vector = key.slice(MOMENT.length)
    const { data } = t
    const fits = data instanceof Float32Array && t.shape.length === 1 && data.length <= layout.all.size
    if (!key.startsWith(MOMENT) || !fits || vector in vectors)
      throw new UserError(`${name}: ${key} does not belong to the model`)
    vectors[vector] = data
  }
  return vectors
}

/** Puts the file's parameters into a flat vector. */
function fill(
  name: string,
  tensors: Readonly<Record<string, SafeTensor>>,
  { slots }: Layout,
  flat: Float32Array,
): void {
  for (const slot of slots) {
    const t = tensors[slot.name]
    if (!t)
      throw new UserError(`${name}: parameter ${slot.name} is missing: the file belongs to another model`)
    if (!(t.data instanceof Float32Array) || t.shape.join() !== slot.shape.join())
      throw new UserError(
        `${name}: parameter ${slot.name} is ${t.dtype} [${t.shape.join()}], the model has float32 [${slot.shape.join()}]`,
      )
    flat.set(t.data, slot.offset)
  }
}
