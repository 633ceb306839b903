import type { GraphProto, NodeProto, TensorProto, ValueInfoProto } from '../export/onnx-proto.ts'
import { type FileInfo, isWeight } from '../export/read.ts'
import type { TypedArray } from '../graph/array.ts'
import { type Bindings, bindDim } from '../graph/bind.ts'
import type { DType } from '../graph/dtype.ts'
import { ShapeError, UserError } from '../graph/errors.ts'
import type { Graph } from '../graph/graph.ts'
import { input, parameter } from '../graph/leaf.ts'
import { makeNode } from '../graph/node.ts'
import { opOf } from '../graph/op.ts'
import { lookup, present } from '../graph/present.ts'
import { printable } from '../graph/printable.ts'
import { currentScope, withScope } from '../graph/scope.ts'
import { type Dim, UNKNOWN } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
// Loaded for what its modules declare: the operators that files are read with.
import '../ops/index.ts'
import { branchOf } from './branch.ts'
import { checkShape, statedDim } from './dims.ts'
import { type Frame, outputsOf, resolvedNode, Scope } from './frame.ts'
import { type FrozenNode, frozen, type StatedTypes } from './frozen.ts'
import { type CalledFunction, Functions } from './functions.ts'
import { knownResults, toTensor } from './known.ts'
import { nodePath, sharedPath } from './names.ts'
import { NodeReader } from './node-reader.ts'
import type { Outputs } from './operator.ts'
import { operatorOf } from './operators/index.ts'
import { argumentsOf, refuseUnread } from './primitive.ts'
import { importedType, knownOf, readElements, tensorValue } from './tensor.ts'
import { Unsupported, unsupported } from './unsupported.ts'
import { MOST, type Value } from './value.ts'

/** A model read from a file. */
export interface Imported {
  /** Inputs, parameters and outputs under their names in the file. */
  readonly graph: Graph
  /** Values of the graph's parameters, by name; those of half precision as float32. */
  readonly weights: ReadonlyMap<string, { readonly dims: readonly number[]; readonly data: TypedArray }>
  /** What the file's nodes compute, also where no output depends on it; but for sizes and the like. */
  readonly computed: readonly Tensor[]
  /** Nodes that run as the file has them, and have no gradient. */
  readonly frozen: readonly FrozenNode[]
}

/** How a file is read. */
export interface ImportOptions {
  /** Sizes or other names for the symbols of the inputs' shapes. */
  readonly dims?: Bindings
  /** A first dim of 1 that all inputs have is the symbol `batch`, also where the file reshapes to it. @default false */
  readonly freeBatch?: boolean
}

/**
 * The graph of an `.onnx` file: nodes become ops, float initializers parameters, node names the layers' paths
 * (`blocks.0.attn/MatMul` and PyTorch's `/blocks/blocks.0/attn/MatMul` both belong to `blocks.0.attn`). Shapes that the file
 * computes when it runs become dims with the inputs' symbols. `lower` writes the same computation again. Half precision becomes
 * float32. An operator that onnxgrad does not have is kept as it is where the file states the types of its outputs.
 * @experimental
 * @param name the file's name in error messages
 * @throws UserError for an operator that onnxgrad does not have and cannot keep, and for damaged files
 */
export function importOnnx(info: FileInfo, name: string, options: ImportOptions = {}): Imported {
  try {
    return new Importer(info, name, options, 'symbols').run()
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error
    try {
      // Two symbols that ONNX leaves to the run time to compare: without symbols every size fits.
      return new Importer(info, name, options, 'unknown').run()
    } catch {
      throw error
    }
  }
}

/** Shapes of a hostile file may be long, and have any names. */
const LONGEST_MESSAGE = 500

/** Outputs of a node; undefined for one that is not computed. */
type Results = readonly (Value | undefined)[]

class Importer {
  readonly #info: FileInfo
  readonly #file: string
  readonly #options: ImportOptions
  readonly #dims: 'symbols' | 'unknown'
  readonly #functions: Functions
  readonly #inputs = new Map<string, Tensor>()
  readonly #parameters = new Map<string, Tensor>()
  readonly #weights = new Map<string, { dims: readonly number[]; data: TypedArray }>()
  readonly #anonymous = new Map<string, string>()
  readonly #computed: Tensor[] = []
  readonly #frozen: FrozenNode[] = []
  readonly #stated: StatedTypes
  /** Version of each domain. */
  readonly #versions: ReadonlyMap<string, number>

  constructor(info: FileInfo, file: string, options: ImportOptions, dims: 'symbols' | 'unknown') {
    this.#info = info
    this.#file = file
    this.#options = options
    this.#dims = dims
    this.#functions = new Functions(info.proto)
    const { valueInfo = [], output = [] } = info.proto.graph ?? {}
    this.#versions = new Map((info.proto.opsetImport ?? []).map(o => [o.domain ?? '', o.version ?? 1]))
    this.#stated = new Map([...output, ...valueInfo].map(v => [v.name ?? '', v]))
  }

  run(): Imported {
    const graph: GraphProto = this.#info.proto.graph ?? {}
    const scope = new Scope()
    this.#initializers(graph, scope)
    // Up to IR version 3 every initializer was listed as an input too.
    const given = new Set(graph.initializer?.map(t => t.name))
    for (const i of graph.input ?? [])
      if (!given.has(i.name))
        this.#at(`input ${printable(i.name ?? '')}`, () => scope.define(i.name, computed(this.#input(i))))
    const frame: Frame = { scope, opset: this.#info.opset, later: outputsOf(graph.node), path: '' }
    this.#nodes(graph.node, frame)
    if (!graph.output?.length) this.#fail('the graph has no outputs; the file is damaged')
    const outputs = new Map<string, Tensor>()
    for (const { name = '' } of graph.output ?? [])
      this.#at(`output ${printable(name)}`, () => outputs.set(name, this.#value(name, frame).tensor()))
    const names = this.#inFileOrder(graph)
    return {
      graph: {
        inputs: Object.fromEntries(this.#inputs),
        parameters: Object.fromEntries(names.map(name => [name, lookup(this.#parameters, name)])),
        outputs: Object.fromEntries(outputs),
      },
      weights: new Map(names.map(name => [name, lookup(this.#weights, name)])),
      computed: this.#computed,
      frozen: this.#frozen,
    }
  }

  /** Names of the parameters that nodes read. */
  #inFileOrder({ initializer = [] }: GraphProto): string[] {
    const places = new Map(initializer.map((t, i) => [t.name ?? '', i]))
    const place = (name: string) => places.get(name) ?? initializer.length
    return [...this.#parameters.keys()].sort((a, b) => place(a) - place(b))
  }

  #fail(message: string): never {
    throw new UserError(`${this.#file}: ${message}`)
  }

  /** Names the part of the file in errors of `body`. */
  #at(part: string, body: () => unknown): void {
    try {
      body()
    } catch (error) {
      // Within a branch or a function the inner part is named.
      if (!(error instanceof UserError) || error.message.startsWith(`${this.#file}: `)) throw error
      const Kind =
        error instanceof ShapeError ? ShapeError : error instanceof Unsupported ? Unsupported : UserError
      throw new Kind(`${this.#file}: ${part}: ${printable(error.message, LONGEST_MESSAGE)}`)
    }
  }

  #value(name: string, { scope, later }: Frame): Value {
    const found = scope.get(name)
    if (found) return found
    throw new UserError(
      later.has(name)
        ? `needs ${printable(name)}, which only a later node computes (a cycle, or nodes out of order)`
        : `needs ${printable(name)}, which nothing in the file computes`,
    )
  }

  #initializers({ initializer = [] }: GraphProto, scope: Scope): void {
    for (const t of initializer)
      this.#at(`initializer ${printable(t.name ?? '')}`, () => scope.define(t.name, this.#initializer(t)))
  }

  #initializer(proto: TensorProto): Value {
    if (!isWeight(this.#info.proto, proto)) return tensorValue(proto)
    const { dtype, dims, data } = readElements(proto)
    const name = proto.name ?? ''
    const stored = () => knownOf(data.length > MOST ? [] : data, dtype, dims)
    let made: AnyTensor | undefined
    const tensor = () => {
      made ??= this.#parameter(name, dtype, dims, data)
      return made
    }
    return { tensor, stored }
  }

  /** A parameter; branches of a file may use one name for several. */
  #parameter(name: string, dtype: DType, dims: readonly number[], data: TypedArray): AnyTensor {
    const t: AnyTensor = parameter(dims, { kind: 'constant', value: 0 }, { dtype })
    let own = name
    for (let i = 1; this.#parameters.has(own); i++) own = `${name}_${i}`
    this.#parameters.set(own, t)
    this.#weights.set(own, { dims, data })
    return t
  }

  #input({ name = '', type }: ValueInfoProto): AnyTensor {
    const { elemType, shape } = type?.tensorType ?? {}
    const dtype = importedType(elemType)
    if (!dtype)
      throw new UserError(`is not a tensor of a supported type (element type ${elemType ?? 'unknown'})`)
    if (!shape) throw new UserError('has no shape; set one when the file is written')
    const { freeBatch, dims: bindings = {} } = this.#options
    const dims = (shape.dim ?? []).map((d, i) => {
      if (i === 0 && freeBatch && !d.dimParam && d.dimValue === 1) return BATCH
      return bindDim(this.#dim(d.dimParam, d.dimValue, `${name}/${i}`), bindings)
    })
    const t: AnyTensor = input(name, dtype, dims)
    checkShape(t)
    this.#inputs.set(name, t)
    return t
  }

  /** Anonymous dims get symbols that no file can name (`?0`), as do those whose name is a formula. */
  #dim(symbol: string | undefined, size: number | undefined, place: string): Dim {
    if (!symbol && size !== undefined && size >= 0) return size
    if (this.#dims === 'unknown') return UNKNOWN
    const stated = statedDim(symbol)
    if (typeof stated === 'string' && stated === symbol) return stated
    const key = symbol || place
    const known = this.#anonymous.get(key) ?? `?${this.#anonymous.size}`
    this.#anonymous.set(key, known)
    return known
  }

  #nodes(nodes: readonly NodeProto[] = [], frame: Frame): void {
    for (const [i, given] of nodes.entries()) {
      const node = resolvedNode(given, frame)
      const label = `node ${printable(node.name || `number ${i}`)} (${printable(node.opType ?? '?')})`
      this.#at(label, () => this.#node(node, frame))
    }
  }

  #node(proto: NodeProto, frame: Frame): void {
    const inputs = (proto.input ?? []).map(name => (name ? this.#value(name, frame) : undefined))
    const node = new NodeReader(
      proto,
      inputs,
      frame.opset,
      this.#versions.get(proto.domain ?? '') ?? frame.opset,
    )
    const weights = (proto.input ?? []).filter(name => frame.scope.get(name)?.stored)
    const own = nodePath(proto.name ?? '') || sharedPath(weights)
    const path = [frame.path, own].filter(Boolean).join('.')
    const results = withScope(path, () => this.#results(node, proto, frame))
    for (const [i, name] of (proto.output ?? []).entries())
      if (name) frame.scope.define(name, results[i] ?? missing(i, proto))
  }

  #results(node: NodeReader, proto: NodeProto, frame: Frame): Results {
    const called = this.#functions.get(proto)
    if (called) return this.#call(called, node, proto, frame)
    const known = knownResults(node)
    if (known) {
      refuseUnread(node)
      return known.map(k => ({ known: k, tensor: () => toTensor(k) }))
    }
    const results = this.#supported(node, proto, frame)
    for (const result of results) {
      if (!result || result.known) continue
      checkShape(result.tensor())
      this.#computed.push(result.tensor())
    }
    return results
  }

  /** What a node computes; where onnxgrad cannot, the node itself, if the file states the types of its outputs. */
  #supported(node: NodeReader, proto: NodeProto, frame: Frame): Results {
    try {
      return this.#built(node, frame)
    } catch (error) {
      if (!(error instanceof Unsupported)) throw error
      const kept = frozen(proto, node, this.#stated)
      if (!kept) throw error
      this.#frozen.push({ type: node.type, domain: node.domain, path: currentScope(), reason: error.message })
      return kept.map(computed)
    }
  }

  /** The outputs of an operator that is read with others, or declared in src/ops, or with `op` by the user. */
  #built(node: NodeReader, frame: Frame): Results {
    if (node.type === 'If' && !node.domain) return this.#if(node, frame)
    const operator = operatorOf(node.type, node.domain)
    if (operator) {
      const outputs = valuesOf(operator(node, (type, inputs) => this.#as(type, inputs, node, frame)))
      refuseUnread(node)
      return outputs
    }
    const op = opOf(node.type, node.domain)
    if (!op)
      return unsupported(
        `operator ${operatorName(node)} is not supported; inspect still lists the file's inputs, outputs and operators`,
      )
    const { inputs, attrs } = argumentsOf(op, node)
    refuseUnread(node, op.neutral)
    // In a file that is run, an op that draws random numbers passes its input on.
    return op.random ? [node.value(0)] : makeNode(op, inputs, attrs).outputs.map(computed)
  }

  /** The first output of another operator with the attributes of a node. */
  #as(type: string, inputs: readonly AnyTensor[], node: NodeReader, frame: Frame): AnyTensor {
    const [result] = this.#built(node.as(type, inputs.map(computed)), frame)
    return present(result, 'result').tensor()
  }

  /** A function of the file, in place of its call. */
  #call(called: CalledFunction, node: NodeReader, proto: NodeProto, frame: Frame): readonly Value[] {
    const scope = new Scope()
    for (const [i, name] of called.inputs.entries()) {
      const value = node.input(i)
      if (value) scope.define(name, value)
    }
    const inner: Frame = {
      scope,
      opset: called.opset || frame.opset,
      later: outputsOf(called.nodes),
      path: currentScope(),
      given: called.attributesOf(proto),
    }
    // An optional input that is left out has the empty name in the body, too.
    const left = new Set(called.inputs.filter(name => !scope.has(name)))
    const nodes = called.nodes.map(n => ({
      ...n,
      input: (n.input ?? []).map(name => (left.has(name) ? '' : name)),
    }))
    this.#nodes(nodes, inner)
    return called.outputs.map(name => this.#value(name, inner))
  }

  /** The branch that a condition takes; both where only the run time knows it, with a choice between their outputs. */
  #if(node: NodeReader, frame: Frame): readonly Value[] {
    const branch = (name: string): readonly Value[] => {
      const graph = node.attribute(name, 'graph') ?? {}
      const scope = new Scope(frame.scope)
      this.#initializers(graph, scope)
      const inner = { ...frame, scope, later: outputsOf(graph.node), path: currentScope() }
      this.#nodes(graph.node, inner)
      return (graph.output ?? []).map(o => this.#value(o.name ?? '', inner))
    }
    return branchOf(node, branch)
  }
}

const BATCH = 'batch'

const computed = (t: AnyTensor): Value => ({ tensor: () => t })

const isValue = (result: AnyTensor | Value): result is Value => 'tensor' in result

function valuesOf(outputs: Outputs): Results {
  const all = isList(outputs) ? outputs : [outputs]
  return all.map(result => result && (isValue(result) ? result : computed(result)))
}

const isList = (outputs: Outputs): outputs is readonly (AnyTensor | undefined)[] => Array.isArray(outputs)

const operatorName = ({ domain, type }: NodeReader): string =>
  `${printable(domain && `${domain}.`)}${printable(type)}`

/** An output that onnxgrad's op does not have, such as the mask of a dropout: no harm while nothing reads it. */
const missing = (i: number, { name, opType }: NodeProto): Value => ({
  tensor() {
    throw new UserError(`output ${i} of ${printable(name || (opType ?? ''))} is not supported`)
  },
})
