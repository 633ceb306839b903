import { arrayOver, type TypedArray } from '../graph/array.ts'
import { BYTES, type DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { fromBfloat } from '../graph/half.ts'
import { keysOf } from '../graph/keys.ts'
import { nth } from '../graph/present.ts'
import { printable } from '../graph/printable.ts'
import { repeatedKey } from './repeated-key.ts'

/** A tensor with its values. */
export interface SafeTensor {
  /** Element type. */
  readonly dtype: DType
  /** Sizes of the axes. */
  readonly shape: readonly number[]
  /** Elements in row-major order. */
  readonly data: TypedArray
}

/** Contents of a `.safetensors` file. */
export interface SafeTensors {
  /** By name. */
  readonly tensors: Record<string, SafeTensor>
  /** Text by key. */
  readonly metadata: Record<string, string>
}

/** Names of element types in the format. */
const NAMES: Readonly<Record<DType, string>> = {
  float16: 'F16',
  float32: 'F32',
  float64: 'F64',
  int8: 'I8',
  uint8: 'U8',
  int16: 'I16',
  uint16: 'U16',
  int32: 'I32',
  uint32: 'U32',
  int64: 'I64',
  uint64: 'U64',
  bool: 'BOOL',
}
const DTYPES = new Map<string, DType>(keysOf(NAMES).map(dtype => [NAMES[dtype], dtype]))

/** bfloat16 has no dtype: it is read as float32, which holds all of its values. */
const BFLOAT = { name: 'BF16', bytes: 2 } as const

/** A sixth of the format's own limit: reading a header takes ten times its size, and real ones are far smaller. */
const MAX_HEADER = 2 ** 24

/**
 * Reads a safetensors file: 8 bytes with the header's length, a JSON header, the tensors' bytes without gaps
 * (https://github.com/huggingface/safetensors#format). BF16 becomes float32. Names are own properties of objects without a prototype.
 * @param name the file's name in error messages
 * @throws UserError when the bytes are not such a file; nothing is allocated for missing data
 */
export function readSafetensors(bytes: Uint8Array, name: string): SafeTensors {
  const fail = (what: string, todo = 'the file is damaged or not a safetensors file'): never => {
    // Names come from the file: they may hold line breaks, and be as long as it.
    throw new UserError(`${name}: ${printable(what, 300)}; ${todo}`)
  }
  if (bytes.length < 8) fail(`has ${bytes.length} bytes; a safetensors file has at least 8`)
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
  if (length > Math.min(bytes.length - 8, MAX_HEADER))
    fail(`its header claims ${length} bytes, but the file has ${bytes.length}`)
  const { text, value: header } =
    headerOf(bytes.subarray(8, 8 + length)) ?? fail('its header is not a JSON object')
  const twice = repeatedKey(text)
  if (twice !== undefined) fail(`its header has the key ${twice} twice`)
  const body = bytes.subarray(8 + length)

  const found = Object.entries(header)
    .filter(([key]) => key !== '__metadata__')
    .map(([key, value]) => ({ key, ...entryOf(key, value, fail) }))
    .sort((a, b) => a.start - b.start || a.end - b.end)
  const tensors: Record<string, SafeTensor> = Object.create(null)
  let at = 0
  for (const { key, dtype, brain, shape, start, end } of found) {
    if (start !== at || end > body.length)
      fail(`tensor ${key} has offsets ${start}…${end} in ${body.length} bytes of data; expected ${at}`)
    const content = new Uint8Array(end - start)
    content.set(body.subarray(start, end))
    const data = brain
      ? fromBfloat(new Uint16Array(content.buffer))
      : arrayOver(dtype, content.buffer, 0, (end - start) / BYTES[dtype])
    tensors[key] = { dtype, shape, data }
    at = end
  }
  if (at !== body.length) fail(`its tensors take ${at} bytes, but the file has ${body.length}`)
  return { tensors, metadata: metadataOf(header.__metadata__, fail) }
}

type Fail = (what: string, todo?: string) => never

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** An object's JSON, which begins with its brace. */
function headerOf(bytes: Uint8Array): { text: string; value: Record<string, unknown> } | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    const value: unknown = JSON.parse(text)
    return text.startsWith('{') && isObject(value) ? { text, value } : undefined
  } catch {
    return undefined
  }
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0

function entryOf(key: string, value: unknown, fail: Fail) {
  if (key === '__proto__') return fail('a tensor is named __proto__')
  const { dtype: type, shape, data_offsets: offsets } = isObject(value) ? value : {}
  if (typeof type !== 'string') return fail(`tensor ${key} has no dtype`)
  const brain = type === BFLOAT.name
  const dtype = brain
    ? 'float32'
    : (DTYPES.get(type) ??
      fail(
        `tensor ${key} has dtype ${type}`,
        `store it as one of ${[...DTYPES.keys(), BFLOAT.name].join(', ')}`,
      ))
  if (!Array.isArray(shape) || !shape.every(isSize)) return fail(`tensor ${key} has an invalid shape`)
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize))
    return fail(`tensor ${key} has invalid data_offsets`)
  const range: readonly number[] = offsets
  const [start, end] = [nth(range, 0), nth(range, 1)]
  const size = shape.reduce((a, b) => a * b, 1) * (brain ? BFLOAT.bytes : BYTES[dtype])
  if (end - start !== size)
    fail(
      `tensor ${key} has ${end - start} bytes, but ${brain ? 'bfloat16' : dtype} [${shape.join()}] needs ${size}`,
    )
  return { dtype, brain, shape, start, end }
}

function metadataOf(value: unknown, fail: Fail): Record<string, string> {
  const metadata: Record<string, string> = Object.create(null)
  if (value === undefined) return metadata
  if (!isObject(value)) return fail('its __metadata__ is not an object')
  for (const [key, text] of Object.entries(value)) {
    if (key === '__proto__' || typeof text !== 'string') return fail(`its metadata ${key} is not text`)
    metadata[key] = text
  }
  return metadata
}

/**
 * A safetensors file. Equal contents give equal bytes, for any order of names: wide elements come first, so that every tensor is
 * aligned, then names in code-unit order.
 * @throws UserError for a reserved name, or data that does not fill its shape
 */
export function writeSafetensors(
  tensors: Readonly<Record<string, SafeTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const byName = <T>(record: Readonly<Record<string, T>>) =>
    Object.entries(record).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  const entries = byName(tensors).sort(([, a], [, b]) => BYTES[b.dtype] - BYTES[a.dtype])
  const header: [string, unknown][] = []
  if (Object.keys(metadata).length) header.push(['__metadata__', Object.fromEntries(byName(metadata))])
  let at = 0
  for (const [name, { dtype, shape, data }] of entries) {
    if (name === '__proto__' || name === '__metadata__')
      throw new UserError(`a tensor cannot be named ${name} in a safetensors file; rename it`)
    const size = shape.reduce((a, b) => a * b, 1)
    if (data.length !== size || data.BYTES_PER_ELEMENT !== BYTES[dtype])
      throw new UserError(
        `tensor ${name} has ${data.byteLength} bytes, which do not match ${dtype} [${shape.join()}]`,
      )
    header.push([name, { dtype: NAMES[dtype], shape, data_offsets: [at, at + data.byteLength] }])
    at += data.byteLength
  }
  const json = JSON.stringify(Object.fromEntries(header))
  const text = new TextEncoder().encode(json)
  const padded = Math.ceil(text.length / 8) * 8
  const bytes = new Uint8Array(8 + padded + at)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true)
  bytes.fill(0x20, 8, 8 + padded).set(text, 8)
  let offset = 8 + padded
  for (const [, { data }] of entries) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset)
    offset += data.byteLength
  }
  return bytes
}
