import { sizeOfDims, type TypedArray } from '../graph/array.ts'
import type { AttrForm } from '../graph/attributes.ts'
import { isConcrete, sizesOf } from '../graph/bind.ts'
import type { DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { type Graph, isLeaf, nodesOf } from '../graph/graph.ts'
import type { Int64 } from '../graph/int64.ts'
import { Constant, constantOf, dimOf, Input, SizeOf } from '../graph/leaf.ts'
import type { Node } from '../graph/node.ts'
import { sinceOf } from '../graph/op.ts'
import { lookup, nth, zip } from '../graph/present.ts'
import { type Dim, type Shape, show, UNKNOWN } from '../graph/shape.ts'
import type { Tensor } from '../graph/tensor.ts'
import { encode } from './codec.ts'
import { checkDefinition } from './definitions.ts'
import { keptNode } from './kept.ts'
import { attributeOf, floatsOf, integersOf, shapeOf } from './lower-attrs.ts'
import {
  type AttributeProto,
  type GraphProto,
  Model,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './onnx-proto.ts'
import { checkOpset, irVersion } from './opsets.ts'
import { DATA_TYPE, tensorProto, toTyped } from './tensor-data.ts'

export interface LowerOptions {
  /** Name of the graph. */
  readonly name: string
  /** Opset of the default domain. @default 17 */
  readonly opset?: number
  /** Value of each parameter; parameters become initializers. */
  readonly weights?: (name: string) => TypedArray
  readonly metadata?: Readonly<Record<string, string>>
  readonly docs?: Readonly<Record<string, string>>
  readonly producerVersion?: string
}

/** A tensor that is filled with one number is not written out if it is larger. */
const MOST_FILLED = 2 ** 14

/**
 * ONNX bytes of a graph: nodes in dependency order, attributes in the form that the opset wants, symbols resolved from
 * the shapes of the inputs at run time. Equal graphs give equal bytes.
 * @throws UserError when the opset or a shape cannot be expressed
 */
export const lower = (graph: Graph, options: LowerOptions): Uint8Array =>
  modelBytes(lowerGraph(graph, options), options)

/** A graph as ONNX writes it, and the domains of its operators beside the default one. */
export type Lowered = { readonly proto: GraphProto; readonly domains: ReadonlyMap<string, number> }

export function lowerGraph(graph: Graph, { opset = 17, weights, name, docs }: LowerOptions): Lowered {
  checkOpset(opset)
  const writer = new Writer(graph, opset)
  for (const node of nodesOf(graph)) if (!isLeaf(node)) writer.addNode(node)
  const outputs = Object.entries(graph.outputs).map(([key, t]) => writer.addOutput(key, t))
  const proto: GraphProto = {
    node: writer.nodes,
    name,
    initializer: [...writer.parameters(weights), ...writer.initializers],
    input: Object.entries(graph.inputs).map(([key, t]) => valueInfo(key, t, docs?.[key])),
    output: outputs.map(o => ({ ...o, docString: docs?.[o.name ?? ''] ?? '' })),
    ...(writer.stated.length ? { valueInfo: writer.stated } : {}),
  }
  return { proto, domains: writer.domains }
}

export function modelBytes({ proto, domains }: Lowered, options: LowerOptions): Uint8Array {
  const { opset = 17, producerVersion = '', metadata = {} } = options
  return encode(Model, {
    irVersion: irVersion(opset),
    producerName: 'onnxgrad',
    producerVersion,
    graph: proto,
    opsetImport: [
      { domain: '', version: opset },
      ...[...domains].sort(([a], [b]) => (a < b ? -1 : 1)).map(([domain, version]) => ({ domain, version })),
    ],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
  })
}

const C90 = /^[A-Za-z_]\w*$/

function valueInfo(name: string, t: Tensor, docString = ''): ValueInfoProto {
  // A derived dim ('batch*17') is no identifier: ONNX leaves such a field empty.
  const dim = t.shape.map(d =>
    typeof d === 'string' ? (C90.test(d) ? { dimParam: d } : {}) : d === UNKNOWN ? {} : { dimValue: d },
  )
  return { name, type: { tensorType: { elemType: DATA_TYPE[t.dtype], shape: { dim } } }, docString }
}

class Writer {
  readonly nodes: NodeProto[] = []
  readonly initializers: TensorProto[] = []
  /** Types of what kept nodes compute, which reading the file needs. */
  readonly stated: ValueInfoProto[] = []
  readonly domains = new Map<string, number>()
  readonly #graph: Graph
  readonly #opset: number
  readonly #names = new Map<Tensor, string>()
  readonly #used = new Set<string>()
  /** Last number that was tried after a name, so that finding a free one does not start over. */
  readonly #suffix = new Map<string, number>()
  readonly #constants = new Map<string, string>()
  /** Names of constants: nodes may read one a thousand times. */
  readonly #written = new Map<Tensor, string>()
  readonly #sizes = new Map<string, string>()
  readonly #read = new Set<string>()

  constructor(graph: Graph, opset: number) {
    this.#graph = graph
    this.#opset = opset
    const { inputs, outputs, parameters } = graph
    /** Whether a result has the name, which a file gives to one tensor alone. */
    const isTaken = (name: string, t: Tensor): boolean => outputs[name] !== undefined && outputs[name] !== t
    for (const [name, t] of Object.entries(inputs)) {
      if (isTaken(name, t))
        throw new UserError(`export: an input and an output are both named ${name}: rename one of them`)
      this.#names.set(t, name)
    }
    for (const name of [inputs, outputs, parameters].flatMap(Object.keys)) this.#used.add(name)
    for (const [name, t] of Object.entries(parameters))
      this.#names.set(t, isTaken(name, t) ? this.#fresh(name) : name)
    for (const [name, t] of Object.entries(outputs))
      if (!isLeaf(t.node) && !this.#names.has(t)) this.#names.set(t, name)
  }

  parameters(weights: LowerOptions['weights']): TensorProto[] {
    return Object.entries(this.#graph.parameters).flatMap(([key, t]) => {
      const name = lookup(this.#names, t)
      if (!this.#read.has(name)) return []
      if (!weights) throw new Error(`internal: parameter ${key} has no value`)
      return [tensorProto(name, t.dtype, sizesOf(t.shape), weights(key))]
    })
  }

  addNode(node: Node): void {
    const { op } = node
    if (op.kept) {
      this.#addKept(node, op.kept.version)
      return
    }
    if (op.domain) this.#version(op.domain, 1)
    const since = sinceOf(node)
    if (since > this.#opset)
      throw new UserError(`${op.type} needs opset ${since}, but the file is written for opset ${this.#opset}`)
    const input = this.#placed(node)
    const attribute: AttributeProto[] = []
    for (const [name, form] of Object.entries(op.attrs ?? {})) {
      if (form.kind === 'internal' || node.attrs[name] === undefined) continue
      if (form.input === undefined || (form.since ?? 0) > this.#opset)
        attribute.push(attributeOf(name, form, node, this.#opset))
      else {
        while (input.length < form.input) input.push('')
        input[form.input] = this.#attributeInput(form, node, name)
      }
    }
    const name = this.#fresh(node.scope ? `${node.scope}/${op.type}` : op.type)
    const output = node.outputs.map((t, i) => this.#nameOutput(t, i ? `${name}:${i}` : name))
    const proto: NodeProto = { input, output, name, opType: op.type, attribute }
    if (op.domain) proto.domain = op.domain
    this.nodes.push(proto)
  }

  /** Names of a node's inputs, at the places that its operator has for them. */
  #placed(node: Node): string[] {
    const names = node.inputs.map(t => this.#value(t))
    const places = node.op.places?.(node.attrs)
    if (!places) return names
    const placed = Array.from({ length: Math.max(...places) + 1 }, () => '')
    for (const [name, place] of zip(names, places)) placed[place] = name
    return placed
  }

  #addKept(node: Node, version: number): void {
    const { type: opType, domain = '' } = node.op
    if (domain) this.#version(domain, version)
    else checkDefinition(opType, version, this.#opset)
    const name = this.#fresh(node.scope ? `${node.scope}/${opType}` : opType)
    const output = node.outputs.map((t, i) => this.#nameOutput(t, i ? `${name}:${i}` : name))
    for (const [i, t] of node.outputs.entries()) this.stated.push(valueInfo(nth(output, i), t))
    const { input, attribute } = keptNode(
      node,
      node.inputs.map(t => this.#value(t)),
    )
    this.nodes.push({ input, output, name, opType, attribute, ...(domain ? { domain } : {}) })
  }

  #version(domain: string, version: number): void {
    this.domains.set(domain, Math.max(version, this.domains.get(domain) ?? 0))
  }

  addOutput(name: string, t: Tensor): ValueInfoProto {
    const source = this.#value(t)
    // A tensor that is an input, or an output already, is passed on under its second name.
    if (source !== name)
      this.nodes.push({ input: [source], output: [name], name: `${name}/Identity`, opType: 'Identity' })
    return valueInfo(name, t)
  }

  #fresh(base: string): string {
    let name = base
    let i = this.#suffix.get(base) ?? 0
    while (this.#used.has(name)) name = `${base}_${++i}`
    this.#suffix.set(base, i)
    this.#used.add(name)
    return name
  }

  #nameOutput(t: Tensor, name: string): string {
    const given = this.#names.get(t)
    if (given !== undefined) return given
    this.#names.set(t, name)
    return name
  }

  /** Name of a tensor that a node reads; constants and sizes appear when they are first read. */
  #value(t: Tensor): string {
    const { op, attrs } = t.node
    const known = this.#names.get(t)
    if (known !== undefined) {
      this.#read.add(known)
      return known
    }
    if (op === Constant) {
      const shape = sizesOf(t.shape)
      const written = this.#written.get(t)
      if (written !== undefined) return written
      const [data, size] = [constantOf(t.node), sizeOfDims(shape)]
      if (data.length === 1 && size > MOST_FILLED)
        return this.#emit('Expand', [
          this.#constant(toTyped(data, t.dtype, 1), t.dtype, []),
          this.#ints(shape),
        ])
      const name = this.#constant(toTyped(data, t.dtype, size), t.dtype, shape)
      this.#written.set(t, name)
      return name
    }
    if (op === SizeOf) {
      const size = this.#size(dimOf(t.node))
      const scalar = this.#emit('Squeeze', [size, this.#ints([0])])
      return this.#emit('Cast', [scalar], [{ name: 'to', type: 2, i: DATA_TYPE[t.dtype] }])
    }
    if (op === Input)
      throw new UserError(`the graph reads input ${attrs.name}, which is not among its inputs`)
    throw new Error(`internal: ${op.type} in ${t.node.scope} is read before it is made`)
  }

  #constant(data: TypedArray, dtype: DType, shape: readonly number[]): string {
    const small = data.length <= 64
    const key = `${dtype}[${shape.join()}]${small ? data.join() : ''}`
    const known = small ? this.#constants.get(key) : undefined
    if (known) return known
    const name = this.#fresh(`const_${this.initializers.length}`)
    this.initializers.push(tensorProto(name, dtype, shape, data))
    if (small) this.#constants.set(key, name)
    return name
  }

  #ints(values: readonly Int64[]): string {
    return this.#constant(toTyped(values, 'int64', values.length), 'int64', [values.length])
  }

  #attributeInput(form: AttrForm, node: Node, name: string): string {
    const value = node.attrs[name]
    if (form.kind === 'scalar') {
      const { dtype } = nth(node.inputs, 0)
      return this.#constant(toTyped([typeof value === 'bigint' ? value : Number(value)], dtype, 1), dtype, [])
    }
    if (form.kind === 'dims') return this.#dims(shapeOf(name, value), node, form)
    if (form.kind === 'floats') {
      const numbers = floatsOf(value)
      return this.#constant(toTyped(numbers, 'float32', numbers.length), 'float32', [numbers.length])
    }
    const integers = integersOf(name, form, value)
    return form.kind === 'int'
      ? this.#constant(toTyped(integers, 'int64', 1), 'int64', [])
      : this.#ints(integers)
  }

  /** A shape as an int64 tensor: constant where it can be, else put together at run time. */
  #dims(shape: Shape, node: Node, form: AttrForm): string {
    if (isConcrete(shape)) return this.#ints(shape)
    const written = form.dims?.write(shape, nth(node.inputs, 0).shape)
    if (written) return this.#ints(written)
    if (shape.includes(UNKNOWN))
      throw new UserError(
        `${node.op.type} in ${node.scope || 'the graph'} needs the shape ${show(shape)}, which is not known`,
      )
    return this.#concatDims(shape)
  }

  #concatDims(shape: Shape): string {
    const parts = shape.map(d => (typeof d === 'string' ? this.#size(d) : this.#ints([d])))
    return parts.length === 1 ? nth(parts, 0) : this.#emit('Concat', parts, [{ name: 'axis', type: 2, i: 0 }])
  }

  /** Run-time value of a symbolic dim as int64 [1]: read off an input's shape, or computed from its parts. */
  #size(dim: Dim): string {
    if (typeof dim === 'number') return this.#ints([dim])
    const known = this.#sizes.get(dim)
    if (known) return known
    let name: string | undefined
    for (const [op, sign] of [
      ['Add', '+'],
      ['Mul', '*'],
    ] as const) {
      if (name || !dim.includes(sign)) continue
      const at = dim.lastIndexOf(sign)
      const right = dim.slice(at + 1)
      name = this.#emit(op, [
        this.#size(dim.slice(0, at)),
        this.#size(/^\d+$/.test(right) ? Number(right) : right),
      ])
    }
    if (!name) {
      const found = Object.entries(this.#graph.inputs).find(([, t]) => t.shape.includes(dim))
      if (!found)
        throw new UserError(`dim ${dim} is in no input's shape, so its size cannot be found at run time`)
      const whole = this.#emit('Shape', [found[0]])
      name = this.#emit('Gather', [whole, this.#ints([found[1].shape.indexOf(dim)])])
    }
    this.#sizes.set(dim, name)
    return name
  }

  #emit(opType: string, input: string[], attribute: AttributeProto[] = []): string {
    const name = this.#fresh(`shape/${opType}`)
    this.nodes.push({ input, output: [name], name, opType, attribute })
    return name
  }
}
