import type { TensorProto, ValueInfoProto } from '../export/onnx-proto.ts'
import { type FileInfo, isWeight } from '../export/read.ts'
import type { TypedArray } from '../graph/array.ts'
import { bindDim } from '../graph/bind.ts'
import type { DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { input, parameter } from '../graph/leaf.ts'
import { type Dim, UNKNOWN } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { checkShape, statedDim } from './dims.ts'
import { BATCH } from './freed.ts'
import type { ImportOptions } from './options.ts'
import { importedType, knownOf, readElements, tensorValue } from './tensor.ts'
import { MOST, type Value } from './value.ts'

/** A weight of a file. */
export interface Weight {
  readonly dims: readonly number[]
  readonly data: TypedArray
}

/** The inputs and weights of a file as leaves of a graph. */
export class Leaves {
  readonly inputs = new Map<string, Tensor>()
  readonly parameters = new Map<string, Tensor>()
  readonly weights = new Map<string, Weight>()
  readonly #info: FileInfo
  readonly #options: ImportOptions
  readonly #symbols: boolean
  readonly #held = new Map<TensorProto, Value>()
  readonly #anonymous = new Map<string, string>()

  /** @param symbols whether sizes that the file leaves open have names, or are not known at all */
  constructor(info: FileInfo, options: ImportOptions, symbols: boolean) {
    this.#info = info
    this.#options = options
    this.#symbols = symbols
  }

  /** Inputs that callers give: up to IR version 3 every initializer was listed as an input too. */
  given(): readonly ValueInfoProto[] {
    const { input: all = [], initializer = [] } = this.#info.proto.graph ?? {}
    const held = new Set(initializer.map(t => t.name))
    return all.filter(i => !held.has(i.name))
  }

  /** Names of the parameters that nodes read, in the order of the file. */
  names(): string[] {
    const { initializer = [] } = this.#info.proto.graph ?? {}
    const places = new Map(initializer.map((t, i) => [t.name ?? '', i]))
    const place = (name: string) => places.get(name) ?? initializer.length
    return [...this.parameters.keys()].sort((a, b) => place(a) - place(b))
  }

  /** A tensor of the file: a parameter from when a node first reads it, or a constant. */
  initializer(proto: TensorProto): Value {
    // A loop reads its body in each round.
    const known = this.#held.get(proto)
    if (known) return known
    const value = this.#initializer(proto)
    this.#held.set(proto, value)
    return value
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
    for (let i = 1; this.parameters.has(own); i++) own = `${name}_${i}`
    this.parameters.set(own, t)
    this.weights.set(own, { dims, data })
    return t
  }

  /** An input of the graph. */
  input({ name = '', type }: ValueInfoProto): AnyTensor {
    const { elemType, shape } = type?.tensorType ?? {}
    const dtype = importedType(elemType)
    if (!dtype)
      throw new UserError(`is not a tensor of a supported type (element type ${elemType ?? 'unknown'})`)
    if (!shape) throw new UserError('has no shape; set one when the file is written')
    const dims = (shape.dim ?? []).map((d, i) => {
      if (i === 0 && this.#options.freeBatch && !d.dimParam && d.dimValue === 1) return BATCH
      return this.#dim(d.dimParam, d.dimValue, `${name}/${i}`)
    })
    const own = this.#options.names?.[name] ?? name
    const t: AnyTensor = input(own, dtype, dims)
    checkShape(t)
    this.inputs.set(own, t)
    return t
  }

  /** Anonymous dims get symbols that no file can name (`?0`), as do those whose name is a formula. */
  #dim(symbol: string | undefined, size: number | undefined, place: string): Dim {
    if (!symbol && size !== undefined && size >= 0) return size
    const dim = bindDim(this.#symbol(symbol, place), this.#options.dims ?? {})
    return !this.#symbols && typeof dim === 'string' && dim !== BATCH ? UNKNOWN : dim
  }

  #symbol(symbol: string | undefined, place: string): string {
    const stated = statedDim(symbol)
    if (typeof stated === 'string' && stated === symbol) return stated
    const key = symbol || place
    const known = this.#anonymous.get(key) ?? `?${this.#anonymous.size}`
    this.#anonymous.set(key, known)
    return known
  }
}
