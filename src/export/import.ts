import type { TypedArray } from '../graph/array.ts'
import type { DType } from '../graph/dtype.ts'
import { ShapeError, UserError } from '../graph/errors.ts'
import type { Graph } from '../graph/graph.ts'
import { input, parameter } from '../graph/leaf.ts'
import { makeNode } from '../graph/node.ts'
import { importOf } from '../graph/op.ts'
import { printable } from '../graph/printable.ts'
import { withScope } from '../graph/scope.ts'
import { type Dim, type Shape, UNKNOWN } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
// Loaded for what its modules declare: the operators that files are read with.
import '../ops/index.ts'
import { argumentsOf, refuseUnread } from './import-attrs.ts'
import { knownResult, toTensor } from './import-known.ts'
import { NodeReader } from './import-node.ts'
import { computed, VALUES } from './import-ops.ts'
import { tensorValue } from './import-tensor.ts'
import { LONGEST_DIM, type Value } from './import-value.ts'
import type { GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } from './onnx-proto.ts'
import type { FileInfo } from './read.ts'
import { dtypeOf, readTensor } from './tensor-data.ts'
import { MOST_AXES } from './tensor-size.ts'

/** A model read from a file. */
export interface Imported {
  /** Inputs, parameters and outputs under their names in the file. */
  readonly graph: Graph
  /** Values of the graph's parameters, by name. */
  readonly weights: ReadonlyMap<string, { readonly dims: readonly number[]; readonly data: TypedArray }>
  /** What the file's nodes compute, also where no output depends on it; but for sizes and the like. */
  readonly computed: readonly Tensor[]
}

/**
 * The graph of an `.onnx` file: nodes become ops, float initializers parameters, node names the layers' paths
 * (`blocks.0.attn/MatMul` and PyTorch's `/blocks/blocks.0/attn/MatMul` both belong to `blocks.0.attn`). Shapes that the file
 * computes when it runs become dims with the inputs' symbols. `lower` writes the same computation again.
 * @experimental
 * @param name the file's name in error messages
 * @throws UserError for an operator that onnxgrad does not have, and for damaged files
 */
export function importOnnx(info: FileInfo, name: string): Imported {
  try {
    return new Importer(info, name, 'symbols').run()
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error
    // Two symbols that ONNX leaves to the run time to compare: without symbols every size fits.
    return new Importer(info, name, 'unknown').run()
  }
}

/** Constants that the exporter names. */
const OWN_CONSTANT = /^const_\d+(_\d+)?$/

/** @internal Whether an initializer is a weight: anything but a constant in own files, floats that are no scalars in others. */
export function isWeight({ producerName }: ModelProto, { name, dims, dataType }: TensorProto): boolean {
  if (producerName === 'onnxgrad') return !OWN_CONSTANT.test(name ?? '')
  const size = (dims ?? []).reduce((a, b) => a * b, 1)
  return size >= 2 && Boolean(dtypeOf(dataType)?.startsWith('float'))
}

/** Of a name that is longer the beginning counts, of a path with more parts the first: work on layers grows with its depth. */
const LONGEST_NAME = 512
const DEEPEST = 32

/** Path of the layer in a node's name. */
export function scopeOf(name: string): string {
  const parts = printable(name, LONGEST_NAME).split('/').slice(0, -1).filter(Boolean)
  const path = parts.filter((part, i) => !parts[i + 1]?.startsWith(`${part}.`)).join('.')
  return path.split('.', DEEPEST).join('.')
}

/** The path that the names of all these weights share, for nodes whose own name has none. */
function sharedPath(names: readonly string[]): string {
  const paths = names
    .filter(n => n.length <= LONGEST_NAME && /^[\w.]+$/.test(n))
    .map(n => n.split('.').slice(0, -1))
  const [first = [], ...rest] = paths
  const differs = first.findIndex((part, i) => rest.some(p => p[i] !== part))
  return first.slice(0, differs < 0 ? DEEPEST : Math.min(differs, DEEPEST)).join('.')
}

/** Shapes of a hostile file may be long, and have any names. */
const LONGEST_MESSAGE = 500

class Importer {
  readonly #info: FileInfo
  readonly #file: string
  readonly #dims: 'symbols' | 'unknown'
  readonly #values = new Map<string, Value>()
  readonly #inputs = new Map<string, Tensor>()
  readonly #parameters = new Map<string, Tensor>()
  readonly #weights = new Map<string, { dims: readonly number[]; data: TypedArray }>()
  readonly #anonymous = new Map<string, string>()
  readonly #computed: Tensor[] = []

  constructor(info: FileInfo, file: string, dims: 'symbols' | 'unknown') {
    this.#info = info
    this.#file = file
    this.#dims = dims
  }

  run(): Imported {
    const graph: GraphProto = this.#info.proto.graph ?? {}
    for (const t of graph.initializer ?? [])
      this.#at(`initializer ${printable(t.name ?? '')}`, () => this.#define(t.name, this.#initializer(t)))
    // Up to IR version 3 every initializer was listed as an input too.
    const given = new Set(this.#values.keys())
    for (const i of graph.input ?? [])
      if (!given.has(i.name ?? ''))
        this.#at(`input ${printable(i.name ?? '')}`, () => this.#define(i.name, computed(this.#input(i))))
    const later = new Set(graph.node?.flatMap(n => n.output ?? []))
    graph.node?.forEach((node, i) => {
      const label = `node ${printable(node.name || `number ${i}`)} (${printable(node.opType ?? '?')})`
      this.#at(label, () => this.#node(node, later))
    })
    if (!graph.output?.length) this.#fail('the graph has no outputs; the file is damaged')
    const outputs = new Map<string, Tensor>()
    for (const { name = '' } of graph.output ?? [])
      this.#at(`output ${printable(name)}`, () => outputs.set(name, this.#value(name, later).tensor()))
    const inputs = Object.fromEntries(this.#inputs)
    const parameters = Object.fromEntries(this.#parameters)
    return {
      graph: { inputs, parameters, outputs: Object.fromEntries(outputs) },
      weights: this.#weights,
      computed: this.#computed,
    }
  }

  #fail(message: string): never {
    throw new UserError(`${this.#file}: ${message}`)
  }

  /** Names the part of the file in errors of `body`. */
  #at(part: string, body: () => unknown): void {
    try {
      body()
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      const Kind = error instanceof ShapeError ? ShapeError : UserError
      throw new Kind(`${this.#file}: ${part}: ${printable(error.message, LONGEST_MESSAGE)}`)
    }
  }

  #define(name: string | undefined, value: Value): void {
    if (!name) throw new UserError('has no name; the file is damaged')
    if (this.#values.has(name))
      throw new UserError(`${printable(name)} is defined twice; the file is damaged`)
    this.#values.set(name, value)
  }

  #value(name: string, later: ReadonlySet<string>): Value {
    const found = this.#values.get(name)
    if (found) return found
    throw new UserError(
      later.has(name)
        ? `needs ${printable(name)}, which only a later node computes (a cycle, or nodes out of order)`
        : `needs ${printable(name)}, which nothing in the file computes`,
    )
  }

  #initializer(proto: TensorProto): Value {
    if (!isWeight(this.#info.proto, proto)) return tensorValue(proto)
    const { dtype, dims, data } = readTensor(proto)
    const name = proto.name ?? ''
    const t: AnyTensor = parameter(dims, { kind: 'constant', value: 0 }, { dtype })
    this.#parameters.set(name, t)
    this.#weights.set(name, { dims, data })
    return computed(t)
  }

  #input({ name = '', type }: ValueInfoProto): AnyTensor {
    const { elemType, shape } = type?.tensorType ?? {}
    const dtype: DType | undefined = dtypeOf(elemType)
    if (!dtype)
      throw new UserError(`is not a tensor of a supported type (element type ${elemType ?? 'unknown'})`)
    if (!shape) throw new UserError('has no shape; set one when the file is written')
    const dims = (shape.dim ?? []).map((d, i) => this.#dim(d.dimParam, d.dimValue, `${name}/${i}`))
    const t: AnyTensor = input(name, dtype, dims)
    checkShape(t)
    this.#inputs.set(name, t)
    return t
  }

  /** Anonymous dims get symbols that no file can name (`?0`), as do those whose name is a formula. */
  #dim(symbol: string | undefined, size: number | undefined, place: string): Dim {
    if (!symbol && size !== undefined && size >= 0) return size
    if (this.#dims === 'unknown') return UNKNOWN
    if (symbol && symbol === printable(symbol, LONGEST_DIM) && /^[^\d*+?][^*+]*$/.test(symbol)) return symbol
    const key = symbol || place
    const known = this.#anonymous.get(key) ?? `?${this.#anonymous.size}`
    this.#anonymous.set(key, known)
    return known
  }

  #node(proto: NodeProto, later: ReadonlySet<string>): void {
    const inputs = (proto.input ?? []).map(name => (name ? this.#value(name, later) : undefined))
    const node = new NodeReader(proto, inputs, this.#info.opset)
    const weights = (proto.input ?? []).filter(name => this.#parameters.has(name))
    const results = withScope(scopeOf(proto.name ?? '') || sharedPath(weights), () => this.#results(node))
    const { op, composite } = importOf(node.type, node.domain)
    refuseUnread(node, (composite ?? op)?.neutral)
    for (const [i, name] of (proto.output ?? []).entries()) {
      if (!name) continue
      const result = results[i] ?? missing(i, proto)
      this.#define(name, result)
    }
  }

  #results(node: NodeReader): readonly Value[] {
    const known = knownResult(node)
    if (known) return [{ known, tensor: () => toTensor(known) }]
    const value = node.domain ? undefined : VALUES.get(node.type)
    const results = value ? [value(node)] : this.#build(node)
    for (const { known, tensor } of results) {
      if (known) continue
      checkShape(tensor())
      this.#computed.push(tensor())
    }
    return results
  }

  /** The outputs of an operator that is declared in src/ops, or with `op` by the user. */
  #build(node: NodeReader): readonly Value[] {
    const { op, composite } = importOf(node.type, node.domain)
    if (composite) {
      const { inputs, attrs } = argumentsOf(composite, node)
      return [computed(composite.build(inputs, attrs))]
    }
    if (!op)
      throw new UserError(
        `operator ${operatorName(node)} is not supported; inspect still lists the file's inputs, outputs and operators`,
      )
    const { inputs, attrs } = argumentsOf(op, node)
    // In a file that is run, an op that draws random numbers passes its input on.
    return op.random ? [node.value(0)] : makeNode(op, inputs, attrs).outputs.map(computed)
  }
}

const operatorName = ({ domain, type }: NodeReader): string =>
  `${printable(domain && `${domain}.`)}${printable(type)}`

/** An output that onnxgrad's op does not have, such as the mask of a dropout: no harm while nothing reads it. */
const missing = (i: number, { name, opType }: NodeProto): Value => ({
  tensor() {
    throw new UserError(`output ${i} of ${printable(name || (opType ?? ''))} is not supported`)
  },
})

/** No size that is negative, fractional or beyond what a tensor can have. */
function checkShape({ shape }: { readonly shape: Shape }): void {
  if (shape.length > MOST_AXES)
    throw new UserError(`has ${shape.length} axes; a tensor has at most ${MOST_AXES}`)
  const sizes = shape.filter(d => typeof d === 'number')
  const names = shape.filter(d => typeof d === 'string')
  const elements = sizes.reduce((n, d) => n * Math.abs(d), 1)
  if (sizes.some(d => !Number.isSafeInteger(d) || d < UNKNOWN) || !Number.isSafeInteger(elements))
    throw new UserError(`has the shape [${shape.slice(0, 8).join()}], which no tensor can have`)
  if (names.some(d => d.length > LONGEST_DIM))
    throw new UserError(`has a size whose formula is longer than ${LONGEST_DIM} characters`)
}
