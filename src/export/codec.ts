import protobuf from 'protobufjs/minimal.js'
import { UserError } from '../graph/errors.ts'

const { Reader, Writer } = protobuf

/** A field of a message: its number in the format, and whether it repeats. */
export interface Field<T, Repeated extends boolean = boolean> {
  readonly id: number
  readonly repeated: Repeated
  readonly type: WireType | (() => Message<Fields>)
  readonly value?: T
}
export type WireType = 'int32' | 'int64' | 'float' | 'double' | 'string' | 'bytes'
export type Fields = Readonly<Record<string, Field<unknown>>>

export interface Message<F extends Fields> {
  readonly fields: F
}

/** The plain object that stands for a message. int64 values are numbers: no size in a model exceeds 2⁵³. */
export type Value<M> =
  M extends Message<infer F>
    ? { [K in keyof F]?: F[K] extends Field<infer T, infer R> ? (R extends true ? T[] : T) : never }
    : never

type Plain = {
  int32: number
  int64: number
  float: number
  double: number
  string: string
  bytes: Uint8Array
}

export const one = <T extends WireType>(id: number, type: T): Field<Plain[T], false> => ({
  id,
  type,
  repeated: false,
})
export const many = <T extends WireType>(id: number, type: T): Field<Plain[T], true> => ({
  id,
  type,
  repeated: true,
})
export const oneOf = <M extends Message<Fields>>(id: number, type: () => M): Field<Value<M>, false> => ({
  id,
  type,
  repeated: false,
})
export const manyOf = <M extends Message<Fields>>(id: number, type: () => M): Field<Value<M>, true> => ({
  id,
  type,
  repeated: true,
})
export const message = <F extends Fields>(fields: F): Message<F> => ({ fields })

const WIRE: Record<WireType, number> = { int32: 0, int64: 0, float: 5, double: 1, string: 2, bytes: 2 }

function writeScalar(w: protobuf.Writer, type: WireType, value: unknown): void {
  if (type === 'string') w.string(value as string)
  else if (type === 'bytes') w.bytes(value as Uint8Array)
  else w[type](value as number)
}

function write(w: protobuf.Writer, fields: Fields, value: Readonly<Record<string, unknown>>): void {
  for (const [name, field] of Object.entries(fields)) {
    const given = value[name]
    if (given === undefined) continue
    const items = field.repeated ? (given as unknown[]) : [given]
    const { type } = field
    if (typeof type === 'function') {
      for (const item of items) {
        w.uint32((field.id << 3) | 2).fork()
        write(w, type().fields, item as Record<string, unknown>)
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
  write(w, type.fields, value as Record<string, unknown>)
  return w.finish()
}

const asNumber = (v: unknown): number => (typeof v === 'number' ? v : Number(v))

function readScalar(r: protobuf.Reader, type: WireType): unknown {
  if (type === 'string') return r.string()
  // A view, not a copy: weights are most of a file.
  if (type === 'bytes') return r.bytes()
  return type === 'int64' ? asNumber(r.int64()) : r[type]()
}

/** Deeper nesting than any real model has; a file that goes beyond is refused. */
const MAX_DEPTH = 64

function read(r: protobuf.Reader, end: number, fields: Fields, depth: number): Record<string, unknown> {
  if (depth > MAX_DEPTH) throw new RangeError(`messages are nested more than ${MAX_DEPTH} deep`)
  const byId = new Map(Object.entries(fields).map(([name, f]) => [f.id, { name, f }]))
  const out: Record<string, unknown> = {}
  while (r.pos < end) {
    const tag = r.uint32()
    const known = byId.get(tag >>> 3)
    const wire = tag & 7
    if (!known) {
      r.skipType(wire)
      continue
    }
    const { name, f } = known
    const add = (value: unknown) => {
      if (!f.repeated) out[name] = value
      else if (Array.isArray(out[name])) out[name].push(value)
      else out[name] = [value]
    }
    if (typeof f.type === 'function') {
      const stop = r.uint32() + r.pos
      if (stop > end) throw new RangeError('a message is longer than its parent')
      add(read(r, stop, f.type().fields, depth + 1))
    } else if (f.repeated && WIRE[f.type] !== 2 && wire === 2) {
      const stop = r.uint32() + r.pos
      if (stop > end) throw new RangeError('a list is longer than its message')
      while (r.pos < stop) add(readScalar(r, f.type))
    } else if (wire !== WIRE[f.type]) {
      throw new RangeError(`field ${name} has wire type ${wire}`)
    } else add(readScalar(r, f.type))
  }
  return out
}

/**
 * The message in `bytes`; fields that the description does not know are passed over.
 * @throws UserError when the bytes are no such message
 */
export function decode<M extends Message<Fields>>(type: M, bytes: Uint8Array, what: string): Value<M> {
  try {
    return read(Reader.create(bytes), bytes.length, type.fields, 0) as Value<M>
  } catch (error) {
    throw new UserError(`${what}: not a valid ONNX file (${(error as Error).message})`)
  }
}
