import type { Attrs } from './attributes.ts'
import type { DType } from './dtype.ts'
import { UserError } from './errors.ts'
import type { Init } from './init.ts'
import { type Int64, toInt64 } from './int64.ts'
import { match, onlyOutput } from './match.ts'
import { makeNode, type Node, type Op } from './node.ts'
import { noGradient } from './op.ts'
import type { Dim, Shape } from './shape.ts'
import type { Tensor } from './tensor.ts'
import { currentTrace } from './tracing.ts'

/** A trainable leaf. Its name comes from where it stands in the model. */
export type Parameter<D extends DType = DType, S = Shape> = Tensor<D, S>

export type ParameterAttrs = {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly init: Init
  /** Whether decoupled weight decay applies; false for biases, norms and embeddings. */
  readonly decay: boolean
  /** Updated by a layer rather than trained, such as the running statistics of a batch norm. */
  readonly buffer: boolean
}

export const isParameter = (value: Tensor): boolean => value.node.op === ParameterOp

/** How a parameter is initialized and decayed. */
export const parameterAttrs = (p: Parameter): ParameterAttrs => {
  const found = match(p.node, ParameterOp)
  if (found) return found.attrs
  throw new Error('internal: not a parameter')
}

/** Attributes of a leaf. */
type LeafAttrs = { readonly dtype: DType; readonly shape: Shape }

const leaf = <A extends Attrs & LeafAttrs>(type: string): Op<A> => {
  const self: Op<A> = {
    type,
    inputs: [],
    infer: (_, { dtype, shape }) => [{ dtype, shape }],
    vjp: noGradient('a leaf has no inputs'),
    apply: () => {
      throw new Error(`internal: a ${type} is not applied`)
    },
    applyAll: () => {
      throw new Error(`internal: a ${type} is not applied`)
    },
  }
  return self
}

export const Input: Op<LeafAttrs & { readonly name: string }> = leaf('Input')
export const ParameterOp: Op<ParameterAttrs> = leaf('Parameter')
export const Constant: Op<ConstantAttrs> = leaf('Constant')
export const SizeOf: Op<LeafAttrs & { readonly dim: Dim }> = leaf('SizeOf')

/** A value that the caller gives at each run. */
export function input<D extends DType, const S extends Shape>(
  name: string,
  dtype: D,
  shape: S,
): Tensor<D, { -readonly [K in keyof S]: S[K] }> {
  return onlyOutput(makeNode(Input, [], { name, dtype, shape }, null))
}

/**
 * A tensor that belongs to a model: trainable, or a buffer. Two calls with equal arguments make two parameters.
 * @throws UserError inside a model's forward function, where it would be a new one at each call
 */
export function parameter<const S extends readonly number[], D extends DType = 'float32'>(
  shape: S,
  init: Init,
  options: { readonly decay?: boolean; readonly buffer?: boolean; readonly dtype?: D } = {},
): Parameter<D, { -readonly [K in keyof S]: S[K] }> {
  if (currentTrace())
    throw new UserError(
      `a layer or parameter of shape [${shape.join()}] is created inside forward; create it once and list it in the model's layers`,
    )
  const { buffer = false, decay = !buffer, dtype = 'float32' } = options
  const attrs = { dtype, shape, init, decay, buffer }
  return onlyOutput(makeNode(ParameterOp, [], attrs, null))
}

/** Larger constants are not deduplicated. */
const INTERN_LIMIT = 4096

/**
 * Doubles, which hold every dtype but the integers of 64 bits without loss, so that a graph can be rebuilt in another; those beyond
 * ±2⁵³ as they are.
 */
export type ConstantData = Float64Array | BigInt64Array | BigUint64Array

type ConstantAttrs = { readonly data: ConstantData; readonly dtype: DType; readonly shape: readonly number[] }

function constantData(values: ArrayLike<Int64>, dtype: DType): ConstantData {
  if (dtype !== 'int64' && dtype !== 'uint64') return Float64Array.from(values, Number)
  const to64 = (v: Int64) => toInt64(v, dtype)
  for (let i = 0; i < values.length; i++)
    if (!Number.isSafeInteger(Number(values[i])))
      return dtype === 'int64' ? BigInt64Array.from(values, to64) : BigUint64Array.from(values, to64)
  return Float64Array.from(values, Number)
}

/**
 * A fixed tensor.
 * @param values a number (a tensor filled with it) or the elements in row-major order
 * @throws UserError for a value of an int64 or uint64 tensor that does not fit in 64 bits
 */
export function constant<D extends DType, const S extends readonly number[]>(
  values: Int64 | ArrayLike<Int64>,
  dtype: D,
  shape: S,
): Tensor<D, { -readonly [K in keyof S]: S[K] }> {
  const size = shape.reduce((a, b) => a * b, 1)
  // A filled tensor stores one element; the exporter expands it.
  const data = constantData(typeof values === 'object' ? values : [values], dtype)
  if (data.length !== 1 && data.length !== size)
    throw new Error(`internal: a constant of [${shape.join()}] needs ${size} values, got ${data.length}`)
  const attrs: Attrs = { data, dtype, shape }
  return onlyOutput(makeNode(Constant, [], attrs, data.length > INTERN_LIMIT ? null : undefined))
}

/** A dim as a scalar value: a constant when it is known, else what the run time finds. */
export function sizeOf<D extends DType>(dim: Dim, dtype: D): Tensor<D, []> {
  if (typeof dim === 'number' && dim >= 0) return constant(dim, dtype, [])
  return onlyOutput(makeNode(SizeOf, [], { dim, dtype, shape: [] }))
}

/** The dim whose size a leaf gives at run time. */
export const dimOf = (node: Node): Dim => {
  const found = match(node, SizeOf)
  if (found) return found.attrs.dim
  throw new Error('internal: not the size of a dim')
}

/** The elements of a constant: one where it is filled with one number. */
export const constantOf = (node: Node): ConstantData => {
  const found = match(node, Constant)
  if (found) return found.attrs.data
  throw new Error('internal: not a constant')
}

/** The number that a tensor is filled with, when it is a constant of one value (that a number holds without loss). */
export const filledWith = ({ node }: Tensor): number | undefined => {
  const { data } = node.attrs
  if (node.op !== Constant || !(data instanceof Float64Array)) return undefined
  return data.every(v => v === data[0]) ? data[0] : undefined
}
