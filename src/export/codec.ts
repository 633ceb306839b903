import protobuf from 'protobufjs/minimal.js'
import { messageOf, UserError } from '../graph/errors.ts'
import { exact, type Int64 } from '../graph/int64.ts'
import { fieldsOf } from '../graph/keys.ts'

const { Reader, Writer } = protobuf

/** A field of a message: its number in the format, and whether it repeats. */
export interface ProtoField<T, Repeated extends boolean = boolean> {
  readonly id: number
  readonly repeated: Repeated
  readonly type: WireType | (() => Message<Fields>)
  readonly value?: T
}
/** `size` is an int64 that counts something: a number, refused beyond ±2⁵³. */
export type WireType = 'int32' | 'int64' | 'uint64' | 'size' | 'float' | 'double' | 'string' | 'bytes'
export type Fields = Readonly<Record<string, ProtoField<unknown>>>

export interface Message<F extends Fields> {
  /** As onnx.proto calls it. */
  readonly name: string
  readonly fields: F
}

/** The plain object that stands for a message. */
export type Value<M> =
  M extends Message<infer F>
    ? { [K in keyof F]?: F[K] extends ProtoField<infer T, infer R> ? (R extends true ? T[] : T) : never }
    : never

type Plain = {
  int32: number
  int64: Int64
  uint64: Int64
  size: number
  float: number
  double: number
  string: string
  bytes: Uint8Array
}

export const one = <T extends WireType>(id: number, type: T): ProtoField<Plain[T], false> => ({
  id,
  type,
  repeated: false,
})
export const many = <T extends WireType>(id: number, type: T): ProtoField<Plain[T], true> => ({
  id,
  type,
  repeated: true,
})
export const oneOf = <M extends Message<Fields>>(id: number, type: () => M): ProtoField<Value<M>, false> => ({
  id,
  type,
  repeated: false,
})
export const manyOf = <M extends Message<Fields>>(id: number, type: () => M): ProtoField<Value<M>, true> => ({
  id,
  type,
  repeated: true,
})
/** A message that its own description leads to; the compiler needs the name of its value and a thunk with a stated type. */
export const oneNested = <T>(id: number, type: () => Message<Fields>): ProtoField<T, false> => ({
  id,
  type,
  repeated: false,
})
export const manyNested = <T>(id: number, type: () => Message<Fields>): ProtoField<T, true> => ({
  id,
  type,
  repeated: true,
})
export const message = <F extends Fields>(name: string, fields: F): Message<F> => ({ name, fields })

const WIRE: Record<WireType, number> = {
  int32: 0,
  int64: 0,
  uint64: 0,
  size: 0,
  float: 5,
  double: 1,
  string: 2,
  bytes: 2,
}

function writeScalar(w: protobuf.Writer, type: WireType, value: unknown): void {
  if (type === 'string') w.string(String(value))
  else if (type === 'bytes') w.bytes(value as Uint8Array)
  else if (type === 'int64' || type === 'uint64' || type === 'size')
    writeInt64(w, typeof value === 'bigint' ? value : Number(value))
  else w[type](Number(value))
}

function writeInt64(w: protobuf.Writer, value: Int64): void {
  if (Number.isSafeInteger(value)) {
    w.int64(Number(value))
    return
  }
  const big = BigInt(value)
  if (BigInt.asIntN(64, big) !== big && BigInt.asUintN(64, big) !== big)
    throw new Error(`internal: ${value} does not fit in 64 bits`)
  // protobufjs takes the two halves of an integer that no number holds.
  w.int64({ low: Number(big & 0xffffffffn), high: Number((big >> 32n) & 0xffffffffn) } as never)
}

function write(w: protobuf.Writer, fields: Fields, value: Readonly<Record<string, unknown>>): void {
  for (const [name, field] of Object.entries(fields)) {
    const given = value[name]
    if (given === undefined) continue
    const items: readonly unknown[] = field.repeated && Array.isArray(given) ? given : [given]
    const { type } = field
    if (typeof type === 'function') {
      for (const item of items) {
        w.uint32((field.id << 3) | 2).fork()
        write(w, type().fields, fieldsOf(item))
        w.ldelim()
      }
    } else if (field.repeated && WIRE[type] !== 2) {
      if (!items.length) continue
      w.uint32((field.id << 3) | 2).fork()
      for (const item of items) writeScalar(w, type, item)
      w.ldelim()
    } else {
      for (const item of items) {
        w.uint32((field.id << 3) | WIRE[type])
        writeScalar(w, type, item)
      }
    }
  }
}

/** Bytes of a message, fields in the order of the description: equal values give equal bytes. */
export function encode<M extends Message<Fields>>(type: M, value: Value<M>): Uint8Array {
  const w = Writer.create()
  write(w, type.fields, fieldsOf(value))
  return w.finish()
}

function readScalar(r: protobuf.Reader, type: WireType): unknown {
  switch (type) {
    case 'int64':
      return readInt64(r)
    case 'uint64':
      return exact(BigInt.asUintN(64, BigInt(readInt64(r))))
    case 'size': {
      const value = readInt64(r)
      if (typeof value === 'number') return value
      throw new RangeError(`a length is ${value}`)
    }
    // `bytes` are a view, not a copy: weights are most of a file.
    default:
      return r[type]()
  }
}

const LOW_BYTES = 7
const MOST_BYTES = 10

/** An int64 without loss, which protobufjs gives only where the package `long` is installed. */
function readInt64(r: protobuf.Reader): Int64 {
  let low = 0
  let high = 0
  for (let i = 0; i < MOST_BYTES; i++) {
    if (r.pos >= r.len) throw new RangeError('it ends inside a number')
    const byte = Number(r.buf[r.pos++])
    if (i < LOW_BYTES) low += (byte & 0x7f) * 2 ** (7 * i)
    else high += (byte & 0x7f) * 2 ** (7 * (i - LOW_BYTES))
    if (byte >= 0x80) continue
    return high ? exact(BigInt.asIntN(64, (BigInt(high) << 49n) | BigInt(low))) : low
  }
  throw new RangeError('a number is longer than ten bytes')
}

/** What no real model reaches. A value takes many times the memory of its bytes, so a file is refused that goes beyond. */
const MOST = { depth: 64, pieces: 2 ** 21, numbers: 2 ** 26 } as const

/** Counts what becomes of a file: messages, texts and byte strings as pieces, elements of lists as numbers. */
class Tally {
  readonly #counts = { pieces: 0, numbers: 0 }

  add(what: 'pieces' | 'numbers'): void {
    if (++this.#counts[what] > MOST[what]) throw new RangeError(`it has more than ${MOST[what]} ${what}`)
  }
}

type Known = ReadonlyMap<number, { readonly name: string; readonly field: ProtoField<unknown> }>
const known = new WeakMap<Fields, Known>()

function fieldsById(fields: Fields): Known {
  const found =
    known.get(fields) ?? new Map(Object.entries(fields).map(([name, field]) => [field.id, { name, field }]))
  known.set(fields, found)
  return found
}

function read(
  r: protobuf.Reader,
  end: number,
  { name: of, fields }: Message<Fields>,
  depth: number,
  tally: Tally,
): Record<string, unknown> {
  if (depth > MOST.depth) throw new RangeError(`messages are nested more than ${MOST.depth} levels deep`)
  tally.add('pieces')
  const byId = fieldsById(fields)
  const out: Record<string, unknown> = {}
  while (r.pos < end) {
    const tag = r.uint32()
    const wire = tag & 7
    const { name, field } = byId.get(tag >>> 3) ?? {}
    // What is not understood cannot be checked, and runtimes might understand it.
    if (!name || !field) throw new RangeError(`${of} has an unknown field, ${tag >>> 3}`)
    const { type, repeated } = field
    // Readers differ in whether they merge such a field or take the last: others might see another model.
    if (!repeated && name in out) throw new RangeError(`field ${name} occurs twice`)
    const put = (value: unknown) => {
      if (!repeated) out[name] = value
      else if (Array.isArray(out[name])) out[name].push(value)
      else out[name] = [value]
    }
    const scalar = (of: WireType) => {
      tally.add(WIRE[of] === 2 ? 'pieces' : 'numbers')
      return readScalar(r, of)
    }
    if (typeof type === 'function') {
      if (wire !== 2) throw new RangeError(`field ${name} has wire type ${wire}`)
      put(read(r, stopOf(r, end), type(), depth + 1, tally))
    } else if (repeated && WIRE[type] !== 2 && wire === 2) {
      const stop = stopOf(r, end)
      while (r.pos < stop) put(scalar(type))
      if (r.pos !== stop) throw new RangeError(`the list ${name} ends inside an element`)
    } else if (wire !== WIRE[type]) {
      throw new RangeError(`field ${name} has wire type ${wire}`)
    } else put(scalar(type))
  }
  if (r.pos !== end) throw new RangeError('a message ends inside a field')
  return out
}

/** Reads a length; where what has that length ends. */
function stopOf(r: protobuf.Reader, end: number): number {
  const stop = r.uint32() + r.pos
  if (stop > end) throw new RangeError('a field is longer than the message that contains it')
  return stop
}

/**
 * The message in `bytes`.
 * @throws UserError when the bytes are not such a message, have fields that the description lacks, or exceed every model
 */
export function decode<M extends Message<Fields>>(type: M, bytes: Uint8Array, what: string): Value<M> {
  try {
    return read(Reader.create(bytes), bytes.length, type, 0, new Tally()) as Value<M>
  } catch (error) {
    throw new UserError(`${what}: not a valid ONNX file (${messageOf(error)})`)
  }
}
