import { UserError } from '../graph/errors.ts'
import { printable } from '../graph/printable.ts'
import { type External, embed, isExternal, locationOf, whyOutside } from './external.ts'
import type {
  AttributeProto,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  SparseTensorProto,
  TensorProto,
} from './onnx-proto.ts'
import { bytesNeeded, checkFilled } from './tensor-size.ts'

/** Nodes once every call of a function is replaced by its body, calls within calls, and bytes of the tensors in them. */
const MOST = { nodes: 2 ** 18, bytes: 2 ** 31, depth: 64 } as const

/** What something becomes in a runtime. */
interface Weight {
  nodes: number
  bytes: number
}

/** What was found in a model that was let in. */
export interface Admitted {
  /** Files that tensors were left in. */
  readonly outside: readonly string[]
  /** Whether it has loops, which may never end: nodes other than If that run a graph. */
  readonly loops: boolean
}

/**
 * @internal
 * Checks a model that was read from bytes, before a runtime gets it: everywhere in it, tensors have their elements, and have
 * them in the file; functions do not call themselves, nor each other so often that a small file becomes a huge graph.
 * Tensors in other files are embedded where `external` gives those.
 * @throws UserError that begins with `name`
 */
export function admit(model: ModelProto, name: string, external?: External): Admitted {
  try {
    const admission = new Admission(model, external)
    admission.run()
    return { outside: [...admission.outside], loops: admission.loops }
  } catch (error) {
    throw error instanceof UserError ? new UserError(`${name}: ${error.message}`) : error
  }
}

/** ONNX AttributeProto.AttributeType. */
const GRAPH = 5
const GRAPHS = 10

const refuse = (message: string): never => {
  throw new UserError(message)
}

class Admission {
  readonly outside = new Set<string>()
  loops = false
  readonly #model: ModelProto
  readonly #external: External | undefined
  readonly #files = new Map<string, Uint8Array>()
  /** By domain and name; versions of one function count together. */
  readonly #functions = new Map<string, FunctionProto[]>()
  /** By domain, name and version. */
  readonly #versions = new Map<string, FunctionProto>()
  readonly #weights = new Map<string, Weight>()
  /** Functions whose bodies are being looked through, each called by the one before. */
  readonly #calling = new Set<string>()

  constructor(model: ModelProto, external: External | undefined) {
    this.#model = model
    this.#external = external
    for (const f of model.functions ?? []) {
      const key = keyOf(f.domain, f.name)
      const bodies = this.#functions.get(key)
      if (bodies) bodies.push(f)
      else this.#functions.set(key, [f])
    }
  }

  run(): void {
    const { functions = [], graph, trainingInfo = [] } = this.#model
    for (const f of functions) {
      const version = versionOf(f.domain, f.name, f.overload)
      if (this.#versions.has(version)) refuse(`function ${shown(version)} is defined twice`)
      this.#versions.set(version, f)
    }
    for (const key of this.#functions.keys()) this.#function(key)
    for (const { initialization, algorithm } of trainingInfo)
      for (const g of [initialization, algorithm]) if (g) this.#graph(g)
    const { nodes, bytes } = this.#graph(graph ?? {})
    if (nodes > MOST.nodes)
      refuse(`inlining its functions gives ${inFull(nodes)} nodes; at most ${inFull(MOST.nodes)} are allowed`)
    if (bytes > MOST.bytes)
      refuse(`its tensors need ${inFull(bytes)} bytes of memory; at most ${inFull(MOST.bytes)} are allowed`)
  }

  #graph({ node, initializer, sparseInitializer }: GraphProto): Weight {
    const weight = this.#nodes(node)
    for (const t of initializer ?? []) weight.bytes += this.#tensor(t, `initializer ${shown(t.name)}`)
    for (const t of sparseInitializer ?? [])
      weight.bytes += this.#sparse(t, `initializer ${shown(t.values?.name)}`)
    return weight
  }

  #nodes(nodes: readonly NodeProto[] = []): Weight {
    const sum = { nodes: nodes.length, bytes: 0 }
    for (const node of nodes) {
      const { nodes: within, bytes } = this.#attributes(node)
      const called = this.#call(node)
      sum.nodes += within + called.nodes
      // The body may read what the call gives it in each of its nodes.
      sum.bytes += bytes * Math.max(called.nodes, 1) + called.bytes
    }
    return sum
  }

  #attributes({ name, opType, attribute = [] }: NodeProto): Weight {
    const sum = { nodes: 0, bytes: 0 }
    for (const a of attribute) {
      const where = `node ${shown(name)} (${shown(opType)}): attribute ${shown(a.name)}`
      const { nodes, bytes } = this.#attribute(a, where)
      this.loops ||= opType !== 'If' && (a.g !== undefined || a.graphs !== undefined)
      sum.nodes += nodes
      sum.bytes += bytes
    }
    return sum
  }

  #attribute(a: AttributeProto, where: string): Weight {
    if (a.refAttrName && (a.type === GRAPH || a.type === GRAPHS))
      refuse(`${where}: is a graph passed by the caller of a function, which is not supported`)
    const sum = { nodes: 0, bytes: 0 }
    for (const g of [...(a.g ? [a.g] : []), ...(a.graphs ?? [])]) {
      const { nodes, bytes } = this.#graph(g)
      sum.nodes += nodes
      sum.bytes += bytes
    }
    for (const t of [...(a.t ? [a.t] : []), ...(a.tensors ?? [])]) sum.bytes += this.#tensor(t, where)
    for (const t of [...(a.sparseTensor ? [a.sparseTensor] : []), ...(a.sparseTensors ?? [])])
      sum.bytes += this.#sparse(t, where)
    return sum
  }

  #call({ name, domain, opType, overload, input = [], output = [] }: NodeProto): Weight {
    const called = this.#versions.get(versionOf(domain, opType, overload))
    const [takes, gives] = [called?.input?.length ?? 0, called?.output?.length ?? 0]
    // onnxruntime 1.30 aborts the process over such a call.
    if (called && (input.length > takes || output.length > gives))
      refuse(
        `node ${shown(name)} (${shown(opType)}): has ${input.length} inputs and ${output.length} outputs, but the function ${takes} and ${gives}`,
      )
    return this.#function(keyOf(domain, opType))
  }

  /** Nothing for an operator that is not a function of the file. */
  #function(key: string): Weight {
    const bodies = this.#functions.get(key)
    const known = this.#weights.get(key)
    if (!bodies || known) return known ?? { nodes: 0, bytes: 0 }
    if (this.#calling.has(key)) refuse(`function ${shown(key)} calls itself`)
    if (this.#calling.size >= MOST.depth) refuse(`functions are nested more than ${MOST.depth} levels deep`)
    this.#calling.add(key)
    const sum = { nodes: 0, bytes: 0 }
    for (const { node, attributeProto } of bodies) {
      const body = this.#nodes(node)
      const defaults = this.#attributes({ name: key, opType: 'function', attribute: attributeProto ?? [] })
      sum.nodes += body.nodes
      sum.bytes += body.bytes + defaults.bytes * body.nodes
    }
    this.#calling.delete(key)
    this.#weights.set(key, sum)
    return sum
  }

  #sparse({ values = {}, indices = {}, dims }: SparseTensorProto, where: string): number {
    const parts = this.#tensor(values, where) + this.#tensor(indices, where)
    // Runtimes make it dense.
    return parts + this.#at(where, () => bytesNeeded({ ...values, dims: dims ?? [] }))
  }

  /** @returns the bytes of its elements */
  #tensor(t: TensorProto, where: string): number {
    return this.#at(where, () => {
      if (isExternal(t) && this.#external === 'leave') {
        this.outside.add(locationOf(t))
        return bytesNeeded(t)
      }
      if (isExternal(t) && !this.#external) refuse(whyOutside(t))
      if (isExternal(t)) embed(t, file => this.#read(file))
      else checkFilled(t)
      return bytesNeeded(t)
    })
  }

  #read(file: string): Uint8Array {
    const known = this.#files.get(file)
    if (known) return known
    if (typeof this.#external !== 'function') throw new Error(`internal: nothing reads ${file}`)
    const bytes = this.#external(file)
    this.#files.set(file, bytes)
    return bytes
  }

  #at<T>(where: string, body: () => T): T {
    try {
      return body()
    } catch (error) {
      throw error instanceof UserError ? new UserError(`${where}: ${error.message}`) : error
    }
  }
}

/** `ai.onnx` is another name of the default domain. */
const keyOf = (domain = '', name = ''): string => `${domain === 'ai.onnx' ? '' : domain}.${name}`

const versionOf = (domain?: string, name?: string, overload = ''): string =>
  `${keyOf(domain, name)}${overload && `:${overload}`}`

const shown = (name = ''): string => printable(name)

const inFull = (n: number): string => Math.round(n).toLocaleString('en-US')
