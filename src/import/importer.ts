import type { GraphProto, NodeProto } from '../export/onnx-proto.ts'
import type { FileInfo } from '../export/read.ts'
import { ShapeError, UserError } from '../graph/errors.ts'
import { makeNode } from '../graph/node.ts'
import { opOf } from '../graph/op.ts'
import { lookup, present } from '../graph/present.ts'
import { printable } from '../graph/printable.ts'
import { currentScope, withScope } from '../graph/scope.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
// Loaded for what its modules declare: the operators that files are read with.
import '../ops/index.ts'
import { branchOf } from './branch.ts'
import { checkShape } from './dims.ts'
import { type Frame, outputsOf, resolvedNode, Scope } from './frame.ts'
import { freed } from './freed.ts'
import { type CalledFunction, Functions } from './functions.ts'
import { keptOutputs, type StatedTypes } from './kept.ts'
import { knownResults, knownValue } from './known.ts'
import { Leaves } from './leaves.ts'
import { nodePath, sharedPath } from './names.ts'
import { NodeReader } from './node-reader.ts'
import { type Results, valuesOf } from './operator.ts'
import { operatorOf } from './operators/index.ts'
import type { ImportOptions } from './options.ts'
import type { Imported, KeptNode, NodeOutcome } from './outcome.ts'
import { argumentsOf, refuseUnread } from './primitive.ts'
import { NodeSurvey } from './survey.ts'
import { loop, scan } from './unrolled.ts'
import { Unsupported, unsupported } from './unsupported.ts'
import { computed, type Value } from './value.ts'

/** Nodes that loops and functions add to a file when they are written out: any file, and one for so many of its bytes. */
const MOST_ADDED = 2 ** 13
const BYTES_EACH = 64

/** Of a file, elements that are followed through it: those of shapes and the like are a few for each node. */
const MOST_FOLLOWED = 2 ** 17

/** Shapes of a hostile file may be long, and have any names. */
const LONGEST_MESSAGE = 500

/** Reads one file. Methods throw a UserError that begins with the file's name. */
export class Importer {
  readonly #info: FileInfo
  readonly #file: string
  readonly #options: ImportOptions
  readonly #leaves: Leaves
  readonly #functions: Functions
  readonly #computed: Tensor[] = []
  readonly #kept: KeptNode[] = []
  /** Where all nodes are looked at, whatever becomes of those before. */
  #survey: NodeSurvey | undefined
  #looping = false
  /** Elements of known values that nodes computed. */
  #followed = 0
  /** What loops and functions have added so far. */
  #added = 0
  readonly #most: number
  readonly #stated: StatedTypes
  /** Version of each domain. */
  readonly #versions: ReadonlyMap<string, number>

  /** @param symbols whether sizes that the file leaves open have names, or are not known at all */
  constructor(info: FileInfo, file: string, options: ImportOptions, symbols = true) {
    this.#info = info
    this.#file = file
    this.#options = options
    this.#leaves = new Leaves(info, options, symbols)
    this.#most = MOST_ADDED + Math.floor(info.bytes.length / BYTES_EACH)
    this.#functions = new Functions(info.proto)
    const { valueInfo = [], output = [] } = info.proto.graph ?? {}
    this.#versions = new Map((info.proto.opsetImport ?? []).map(o => [o.domain ?? '', o.version ?? 1]))
    this.#stated = new Map([...output, ...valueInfo].map(v => [v.name ?? '', v]))
  }

  run(): Imported {
    return this.#imported(this.#read())
  }

  #imported(frame: Frame): Imported {
    const graph: GraphProto = this.#info.proto.graph ?? {}
    if (!graph.output?.length) this.#fail('the graph has no outputs; the file is damaged')
    const outputs = new Map<string, Tensor>()
    for (const { name = '' } of graph.output ?? [])
      this.#at(`output ${printable(name)}`, () => outputs.set(name, this.#value(name, frame).tensor()))
    const { inputs, parameters, weights } = this.#leaves
    const names = this.#leaves.names()
    return {
      graph: {
        inputs: Object.fromEntries(inputs),
        parameters: Object.fromEntries(names.map(name => [name, lookup(parameters, name)])),
        outputs: Object.fromEntries(outputs),
      },
      weights: new Map(names.map(name => [name, lookup(weights, name)])),
      computed: this.#computed,
      kept: this.#kept,
    }
  }

  /** Reads inputs, weights and nodes. */
  #read(): Frame {
    const graph: GraphProto = this.#info.proto.graph ?? {}
    const scope = new Scope()
    this.#initializers(graph, scope)
    for (const i of this.#leaves.given())
      this.#at(`input ${printable(i.name ?? '')}`, () =>
        scope.define(i.name, computed(this.#leaves.input(i))),
      )
    const frame: Frame = { scope, opset: this.#info.opset, later: outputsOf(graph.node), path: '' }
    this.#nodes(graph.node, frame)
    return frame
  }

  /** Reads all nodes, also those after one that is refused: what becomes of each, and what {@link run} returns or throws. */
  survey(): { readonly outcomes: readonly NodeOutcome[]; readonly result: Imported | UserError } {
    const survey = new NodeSurvey(this.#stated)
    this.#survey = survey
    const frame = this.#read()
    const { outcomes, refusal } = survey
    if (refusal) return { outcomes, result: refusal }
    try {
      return { outcomes, result: this.#imported(frame) }
    } catch (error) {
      if (error instanceof UserError) return { outcomes, result: error }
      throw error
    }
  }

  inputs(): Readonly<Record<string, Tensor>> {
    for (const i of this.#leaves.given())
      this.#at(`input ${printable(i.name ?? '')}`, () => this.#leaves.input(i))
    return Object.fromEntries(this.#leaves.inputs)
  }

  #fail(message: string): never {
    throw new UserError(`${this.#file}: ${message}`)
  }

  /** Names the part of the file in errors of `body`. */
  #at<T>(part: string, body: () => T): T {
    try {
      return body()
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
      this.#at(`initializer ${printable(t.name ?? '')}`, () =>
        scope.define(t.name, this.#leaves.initializer(t)),
      )
  }

  #nodes(nodes: readonly NodeProto[] = [], frame: Frame): void {
    for (const [i, given] of nodes.entries()) {
      const node = resolvedNode(given, frame)
      const label = `node ${printable(node.name || `number ${i}`)} (${printable(node.opType ?? '?')})`
      const read = () => this.#at(label, () => this.#node(node, frame))
      if (this.#survey)
        this.#survey.judge(typeName(node.domain, node.opType), node, frame.scope, read, () =>
          this.#isFull(frame),
        )
      else read()
    }
  }

  /** Whether a function is too large: no more of it is read, and the call is refused. */
  #isFull({ given }: Frame): boolean {
    return given !== undefined && this.#added > this.#most
  }

  /** @returns why the node is kept as the file has it; undefined for an imported one, null for one whose nodes are read themselves */
  #node(proto: NodeProto, frame: Frame): string | undefined | null {
    const kept = this.#kept.length
    const given = (proto.input ?? []).map(name => (name ? this.#value(name, frame) : undefined))
    const inputs = this.#options.freeBatch && !proto.domain ? freed(proto, given) : given
    const node = new NodeReader(
      proto,
      inputs,
      frame.opset,
      this.#versions.get(proto.domain ?? '') ?? frame.opset,
    )
    const weights = (proto.input ?? []).filter(name => frame.scope.get(name)?.stored)
    const own = nodePath(proto.name ?? '') || sharedPath(weights)
    const path = [frame.path, own].filter(Boolean).join('.')
    const called = this.#functions.get(proto)
    const results = withScope(path, () =>
      called ? this.#call(called, node, proto, frame) : this.#results(node, proto, frame),
    )
    for (const [i, name] of (proto.output ?? []).entries())
      if (name) frame.scope.define(name, results[i] ?? missing(i, proto))
    return called || node.type === 'If' ? null : this.#kept[kept]?.reason
  }

  #results(node: NodeReader, proto: NodeProto, frame: Frame): Results {
    const known = this.#followed < MOST_FOLLOWED ? knownResults(node) : undefined
    if (known) {
      refuseUnread(node)
      for (const { values } of known) this.#followed += values.length
      return known.map(knownValue)
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
      const kept = keptOutputs(proto, node, this.#stated)
      if (!kept) throw error
      this.#kept.push({ type: node.type, domain: node.domain, path: currentScope(), reason: error.message })
      return kept.map(computed)
    }
  }

  /** The outputs of an operator that is read with others, or declared in src/ops, or with `op` by the user. */
  #built(node: NodeReader, frame: Frame): Results {
    const controlled = this.#control(node, frame)
    if (controlled) {
      refuseUnread(node)
      return controlled
    }
    const operator = operatorOf(node.type, node.domain)
    if (operator) {
      const outputs = valuesOf(operator(node, (type, inputs) => this.#as(type, inputs, node, frame)))
      refuseUnread(node)
      return outputs
    }
    const op = opOf(node.type, node.domain)
    if (!op) return unsupported(`operator ${typeName(node.domain, node.type)} is not supported`)
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

  /** Counts what each round of a loop and each call of a function adds, also of a body without nodes. */
  #count(size: number): void {
    this.#added += size
    if (this.#added > this.#most)
      unsupported(`loops and functions that add more than ${this.#most} nodes to the file are not supported`)
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
    this.#count(1 + nodes.length)
    this.#nodes(nodes, inner)
    return called.outputs.map(name => this.#value(name, inner))
  }

  /** A graph within the file's, which also sees the values around it. */
  #within(graph: GraphProto, frame: Frame, inputs: readonly (Value | undefined)[] = []): readonly Value[] {
    const { node = [], initializer = [], input = [], output = [] } = graph
    if (this.#looping) this.#count(1 + node.length + initializer.length + input.length + output.length)
    const scope = new Scope(frame.scope)
    this.#initializers(graph, scope)
    for (const [i, { name }] of input.entries()) {
      const given = inputs[i]
      if (given) scope.define(name, given)
    }
    const inner = { ...frame, scope, later: outputsOf(node), path: currentScope() }
    this.#nodes(node, inner)
    return output.map(o => this.#value(o.name ?? '', inner))
  }

  /** Operators that run a graph; undefined for all others. */
  #control(node: NodeReader, frame: Frame): Results | undefined {
    if (node.domain) return undefined
    if (node.type === 'If')
      return branchOf(node, name => this.#within(node.attribute(name, 'graph') ?? {}, frame))
    if (node.type !== 'Loop' && node.type !== 'Scan') return undefined
    const graph = node.attribute('body', 'graph') ?? {}
    // The nodes of the body are those of each round: the loop itself is judged.
    const [survey, looping] = [this.#survey, this.#looping]
    this.#survey = undefined
    this.#looping = true
    try {
      const body = (inputs: readonly (Value | undefined)[]) => this.#within(graph, frame, inputs)
      const { input = [], output = [] } = graph
      return node.type === 'Loop'
        ? loop(node, input.length - 2, body)
        : scan(node, { inputs: input.length, outputs: output.length }, body)
    } finally {
      this.#survey = survey
      this.#looping = looping
    }
  }
}

const typeName = (domain = '', type = '?'): string =>
  printable(domain && domain !== 'ai.onnx' ? `${domain}.${type}` : type)

/** An output that onnxgrad's op does not have, such as the mask of a dropout: no harm while nothing reads it. */
const missing = (i: number, { name, opType }: NodeProto): Value => ({
  tensor() {
    throw new UserError(`output ${i} of ${printable(name || (opType ?? ''))} is not supported`)
  },
})
