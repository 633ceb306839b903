import { UserError } from '../graph/errors.ts'
import { type Int64, saturated } from '../graph/int64.ts'
import { type Shape, UNKNOWN } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { MOST, type Value } from './import-value.ts'
import type { AttributeProto, NodeProto, TensorProto } from './onnx-proto.ts'

interface Kinds {
  readonly float: number
  readonly int: number
  readonly number: number
  readonly int64: Int64
  readonly string: string
  readonly tensor: TensorProto
  readonly ints: readonly number[]
  readonly int64s: readonly Int64[]
}

/** ONNX AttributeProto.AttributeType. */
const CODES: Readonly<Record<keyof Kinds, number>> = {
  float: 1,
  int: 2,
  /** A float as well. */
  number: 2,
  int64: 2,
  string: 3,
  tensor: 4,
  ints: 7,
  int64s: 7,
}

/** @throws UserError for an integer that is beyond what sizes, axes and the like can be */
export function asNumber(value: Int64, what: string): number {
  if (typeof value === 'number') return value
  throw new UserError(`${what} holds ${value}; its integers must be within ±2^53`)
}

// A field that is zero or empty may be missing from the bytes.
const READ: { readonly [K in keyof Kinds]: (a: AttributeProto) => Kinds[K] } = {
  float: a => a.f ?? 0,
  int: a => asNumber(a.i ?? 0, `attribute ${a.name}`),
  number: a => (a.type === CODES.float ? (a.f ?? 0) : asNumber(a.i ?? 0, `attribute ${a.name}`)),
  int64: a => a.i ?? 0,
  string: a => new TextDecoder().decode(a.s ?? new Uint8Array()),
  tensor: a => a.t ?? {},
  ints: a => (a.ints ?? []).map(i => asNumber(i, `attribute ${a.name}`)),
  int64s: a => a.ints ?? [],
}

/** A node of a file as importing reads it; what is wrong with it is thrown without the node's name. */
export class NodeReader {
  readonly type: string
  readonly domain: string
  readonly opset: number
  /** Names behind the inputs; `undefined` where an optional one is left out, none of those at the end. */
  readonly inputs: readonly (Value | undefined)[]
  /** How many outputs the node declares. */
  readonly outputs: number
  readonly #attributes: ReadonlyMap<string, AttributeProto>
  readonly #read = new Set<string>()

  constructor(proto: NodeProto, inputs: readonly (Value | undefined)[], opset: number) {
    this.type = proto.opType ?? ''
    this.domain = proto.domain === 'ai.onnx' ? '' : (proto.domain ?? '')
    this.opset = opset
    this.inputs = inputs.slice(0, inputs.findLastIndex(v => v) + 1)
    this.outputs = proto.output?.length ?? 0
    const most = Math.max(this.inputs.length, this.outputs)
    if (most > MOST) throw new UserError(`has ${most} inputs or outputs; at most ${MOST} are allowed`)
    this.#attributes = new Map((proto.attribute ?? []).map(a => [a.name ?? '', a]))
  }

  /** An attribute; `undefined` when the node does not have it. */
  attribute<K extends keyof Kinds>(name: string, kind: K): Kinds[K] | undefined {
    const found = this.#attributes.get(name)
    if (!found) return undefined
    this.#read.add(name)
    const code = kind === 'number' && found.type === CODES.float ? CODES.float : CODES[kind]
    if (found.type !== undefined && found.type !== code)
      throw new UserError(`attribute ${name} has type ${found.type}; expected ${kind} (${code})`)
    return READ[kind](found)
  }

  has(name: string): boolean {
    return this.#attributes.has(name)
  }

  /** Attributes that nothing has asked for. */
  unread(): string[] {
    return [...this.#attributes.keys()].filter(name => !this.#read.has(name))
  }

  /** An input that must be there, as data. */
  data(i: number): AnyTensor {
    return this.value(i).tensor()
  }

  value(i: number): Value {
    const value = this.inputs[i]
    if (!value) throw new UserError(`input ${i} is missing`)
    return value
  }

  /** An input that holds a shape; a size that only the run time finds is unknown. */
  dims(i: number): Shape {
    const { known } = this.value(i)
    if (!known || known.scalar)
      throw new UserError(`input ${i} depends on more than the sizes of the graph's inputs`)
    return known.values.map(v => (typeof v === 'bigint' ? asNumber(v, `input ${i}`) : (v ?? UNKNOWN)))
  }

  /**
   * A list of integers that must be constant: an attribute or, in newer opsets, input `i`.
   * @param saturates takes ±2⁵³ for integers beyond, as places in an axis allow; others are refused
   */
  ints(name: string, i?: number, saturates = false): readonly number[] | undefined {
    const given = i === undefined ? undefined : this.inputs[i]
    const values = this.has(name) ? this.attribute(name, 'int64s') : given?.known?.values
    if (!values && !given) return undefined
    if (!values?.every((v): v is Int64 => typeof v === 'number' || typeof v === 'bigint'))
      throw new UserError(`${name} (input ${i}) is not constant`)
    // Work on axes grows with the square of their number.
    if (values.length > MOST)
      throw new UserError(`${name} has ${values.length} values; at most ${MOST} are allowed`)
    return values.map(v => (saturates ? saturated(v) : asNumber(v, name)))
  }
}
