import type { AttributeProto, GraphProto, NodeProto, TensorProto } from '../export/onnx-proto.ts'
import { UserError } from '../graph/errors.ts'
import { type Int64, saturated } from '../graph/int64.ts'
import { printable } from '../graph/printable.ts'
import { type Shape, UNKNOWN } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import type { FileNode } from './file-node.ts'
import { isNumber } from './sizes.ts'
import { unsupported } from './unsupported.ts'
import { MOST, type Value } from './value.ts'

interface Kinds {
  readonly float: number
  readonly int: number
  readonly number: number
  readonly int64: Int64
  readonly string: string
  readonly tensor: TensorProto
  readonly ints: readonly number[]
  readonly int64s: readonly Int64[]
  readonly floats: readonly number[]
  readonly strings: readonly string[]
  readonly graph: GraphProto
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
  graph: 5,
  floats: 6,
  ints: 7,
  int64s: 7,
  strings: 8,
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
  string: a => decoded(a.s ?? new Uint8Array()),
  tensor: a => a.t ?? {},
  ints: a => (a.ints ?? []).map(i => asNumber(i, `attribute ${a.name}`)),
  int64s: a => a.ints ?? [],
  floats: a => a.floats ?? [],
  strings: a => (a.strings ?? []).map(decoded),
  graph: a => a.g ?? {},
}

const decoded = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** A node of a file as importing reads it; what is wrong with it is thrown without the node's name. */
export class NodeReader implements FileNode {
  readonly type: string
  readonly domain: string
  readonly opset: number
  /** Version of the node's own domain. */
  readonly version: number
  /** Names behind the inputs; `undefined` where an optional one is left out, none of those at the end. */
  readonly inputs: readonly (Value | undefined)[]
  /** How many outputs the node declares. */
  readonly outputs: number
  readonly #proto: NodeProto
  readonly #attributes: ReadonlyMap<string, AttributeProto>
  #read = new Set<string>()
  readonly #taken = new Set<number>()

  constructor(
    proto: NodeProto,
    inputs: readonly (Value | undefined)[],
    opset: number,
    version: number = opset,
  ) {
    this.#proto = proto
    this.type = proto.opType ?? ''
    this.domain = proto.domain === 'ai.onnx' ? '' : (proto.domain ?? '')
    this.opset = opset
    this.version = version
    this.inputs = inputs.slice(0, inputs.findLastIndex(v => v) + 1)
    this.outputs = proto.output?.length ?? 0
    const most = Math.max(this.inputs.length, this.outputs)
    if (most > MOST) throw new UserError(`has ${most} inputs or outputs; at most ${MOST} are allowed`)
    this.#attributes = new Map((proto.attribute ?? []).map(a => [a.name ?? '', a]))
  }

  /** The node as another operator of ONNX, with other inputs: the attributes that it reads are read. */
  as(opType: string, inputs: readonly Value[]): NodeReader {
    const proto: NodeProto = {
      ...this.#proto,
      opType,
      domain: '',
      output: this.#proto.output?.slice(0, 1) ?? [],
    }
    const node = new NodeReader(proto, inputs, this.opset)
    node.#read = this.#read
    return node
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

  /** Attributes that were not read. */
  unread(): string[] {
    return [...this.#attributes.keys()].filter(name => !this.#read.has(name))
  }

  /** Places of inputs that were not read. */
  untaken(): number[] {
    return this.inputs.flatMap((v, i) => (v && !this.#taken.has(i) ? [i] : []))
  }

  /** The value behind an input; `undefined` where it is left out. */
  input(i: number): Value | undefined {
    this.#taken.add(i)
    return this.inputs[i]
  }

  /** An input that must be there, as data. */
  data(i: number): AnyTensor {
    return this.value(i).tensor()
  }

  /** All inputs as data, of an operator that takes any number of them. */
  all(): AnyTensor[] {
    return this.inputs.map((_, i) => this.data(i))
  }

  /** An input as data; `undefined` where it is left out. */
  optional(i: number): AnyTensor | undefined {
    return this.input(i)?.tensor()
  }

  /** An integer attribute. */
  int(name: string, fallback: number): number {
    return this.attribute(name, 'int') ?? fallback
  }

  /** An integer attribute that is 0 or 1. */
  flag(name: string, fallback = false): boolean {
    const value = this.attribute(name, 'int')
    return value === undefined ? fallback : value !== 0
  }

  float(name: string, fallback: number): number {
    return this.attribute(name, 'float') ?? fallback
  }

  /** A string attribute. @param of its supported values, the default first @throws UserError for any other */
  text<const T extends string>(name: string, of: readonly [T, ...T[]]): T {
    const value = this.attribute(name, 'string') ?? of[0]
    const found = of.find(v => v === value)
    return found ?? unsupported(`${name} ${printable(value)} is not supported, only ${of.join(', ')}`)
  }

  /**
   * A number that must be constant: an attribute or, in newer opsets, input `i`, a tensor of one element.
   * @throws UserError for one that is not constant
   */
  number(name: string, i?: number): number | undefined {
    if (this.has(name)) return this.attribute(name, 'number')
    const values = i === undefined ? undefined : this.numbers(name, i)
    if (values && values.length !== 1) throw new UserError(`${name} (input ${i}) is not one number`)
    return values?.[0]
  }

  /** A list of numbers that must be constant: an attribute or, in newer opsets, input `i`. */
  numbers(name: string, i?: number): readonly number[] | undefined {
    if (this.has(name)) return this.attribute(name, 'floats')
    const given = i === undefined ? undefined : this.input(i)
    if (!given) return undefined
    const values = (given.known ?? given.stored?.())?.values
    if (!values?.every(isNumber)) return unsupported(`${name} (input ${i}) is not constant`)
    return values.map(Number)
  }

  value(i: number): Value {
    const value = this.input(i)
    if (!value) throw new UserError(`input ${i} is missing`)
    return value
  }

  /** An input that holds a shape; a size that only the run time finds is unknown. */
  dims(i: number): Shape {
    const { known } = this.value(i)
    if (known?.shape.length !== 1)
      return unsupported(`input ${i} depends on more than the sizes of the graph's inputs`)
    return known.values.map(v => (typeof v === 'bigint' ? asNumber(v, `input ${i}`) : (v ?? UNKNOWN)))
  }

  /**
   * A list of integers that must be constant: an attribute or, in newer opsets, input `i`.
   * @param saturates takes ±2⁵³ for integers beyond, as places in an axis allow; others are refused
   */
  ints(name: string, i?: number, saturates = false): readonly number[] | undefined {
    const given = i === undefined ? undefined : this.input(i)
    const values = this.has(name) ? this.attribute(name, 'int64s') : given?.known?.values
    if (!values && !given) return undefined
    if (!values?.every(isNumber)) return unsupported(`${name} (input ${i}) is not constant`)
    // Work on axes grows with the square of their number.
    if (values.length > MOST)
      throw new UserError(`${name} has ${values.length} values; at most ${MOST} are allowed`)
    return values.map(v => (saturates ? saturated(v) : asNumber(v, name)))
  }
}
