import type { DType } from './dtype.ts'
import { ShapeError } from './errors.ts'
import type { Init } from './init.ts'
import type { Sample } from './sample.ts'
import { currentScope } from './scope.ts'
import type { Dim, Shape } from './shape.ts'

/**
 * An immutable value in a graph: what it holds is known when the graph runs, its dtype and shape when it is built.
 * `D` and `S` carry both in the type; `S` may hold sizes, symbols and `number` for "unknown".
 */
export interface Tensor<out D extends DType = DType, out S = Shape> {
  /** Element type. */
  readonly dtype: D
  /** Sizes of the axes: numbers, and symbols such as `batch`. */
  readonly shape: S
  /** The node that computes this tensor, and which of its outputs it is. */
  readonly node: Node
  /** Which of the node's outputs it is. */
  readonly index: number
}

/** The escape type: fits every tensor type and is fitted by every tensor. Results of unchecked code have it. */
// biome-ignore lint/suspicious/noExplicitAny: the one place where shape checking is switched off
export type AnyTensor = Tensor<any, any>

/** Dtype and shape of a tensor, without the node that makes it. */
export interface TensorType {
  readonly dtype: DType
  readonly shape: Shape
}

/** Value of an attribute of a node. */
export type Attr =
  | number
  | bigint
  | string
  | boolean
  | readonly Dim[]
  | Float64Array
  | BigInt64Array
  | Init
  | undefined
/** Attributes of a node by name. */
export type Attrs = Readonly<Record<string, Attr>>

/**
 * How ONNX writes an attribute: its kind and, where ONNX wants it as a tensor, which input it is (`since` an opset).
 * `scalar` is a number of the first input's dtype, `dims` a shape that may hold symbols. Integers that saturate are places
 * in an axis: those beyond every size mean what the largest size means, so ±2⁵³ stand for them.
 */
export interface AttrForm {
  readonly kind: 'int' | 'float' | 'bool' | 'string' | 'dtype' | 'ints' | 'dims' | 'scalar'
  readonly input?: number
  readonly since?: number
  readonly saturates?: true
}

export interface VjpArgs<A extends Attrs> {
  /** Inputs and outputs of the node. */
  readonly x: readonly AnyTensor[]
  readonly y: readonly AnyTensor[]
  /** Gradient of the first output (zeros when only another output is used). */
  readonly dy: AnyTensor
  /** Gradients of all outputs; `undefined` where nothing depends on one. */
  readonly dys: readonly (AnyTensor | undefined)[]
  readonly attrs: A
}

/** One gradient for each input, `null` where an input has none. Broadcasting is undone by the engine. */
export type Vjp<A extends Attrs> = (args: VjpArgs<A>) => readonly (AnyTensor | null)[]

/** Why an op has no gradient. */
export interface NoGradient {
  readonly none: string
}
export const none = (why: string): NoGradient => ({ none: why })

/** The rules of an operator. */
export interface OpSpec<A extends Attrs> {
  readonly domain?: string
  /** How each attribute is written in ONNX; one that is not listed is not written. */
  readonly attrs?: { readonly [K in keyof A]?: AttrForm }
  /** The type rule: output types for input types. Throws a ShapeError that starts with the op's public name. */
  readonly infer: (inputs: readonly TensorType[], attrs: A) => readonly TensorType[]
  readonly vjp: Vjp<A> | NoGradient
  /** Inputs (and attributes) to test the op with. */
  readonly samples: readonly Sample<NoInfer<A>>[]
  /** Multiply–accumulates of one evaluation, for ops that have any. */
  readonly macs?: (inputs: readonly TensorType[], outputs: readonly TensorType[], attrs: A) => number
  /**
   * Where the op works element by element: for an axis of its outputs, the axis of each input that runs along with it
   * (`null`: that input is read whole); undefined where the op mixes the axis.
   */
  readonly along?: Along<A>
  /** The same outputs by elementary ops, for targets that have no kernel for this one. */
  readonly decompose?: (inputs: readonly AnyTensor[], attrs: A) => readonly AnyTensor[]
  /** The op draws random numbers while training and is the identity elsewhere. */
  readonly random?: true
  /** The same outputs in the form that a training step computes and differentiates, where another one pays there. */
  readonly training?: (inputs: readonly AnyTensor[], attrs: A) => readonly AnyTensor[]
  /** Opset that introduced the operator, where it is newer than 13. */
  readonly since?: number
  /** What takes the op's place outside of training steps, where it is not an operator of ONNX. */
  readonly resolve?: (inputs: readonly AnyTensor[], attrs: A) => readonly AnyTensor[]
}

export type Along<A extends Attrs = Attrs> = (
  axis: number,
  inputs: readonly TensorType[],
  attrs: A,
) => readonly (number | null)[] | undefined

/** {@link OpSpec.along} of ops that broadcast their inputs against each other. */
export const elementwise: Along = (axis, inputs) => {
  const rank = Math.max(...inputs.map(t => t.shape.length))
  return inputs.map(({ shape }) => {
    const i = axis - rank + shape.length
    return i >= 0 && shape[i] !== 1 ? i : null
  })
}

/** A primitive: one operator of ONNX with its rules. */
export interface Op<A extends Attrs = Attrs> extends OpSpec<A> {
  /** The operator's name in ONNX. */
  readonly type: string
  /** Adds a node for this op and returns its first output. */
  readonly apply: (inputs: readonly Tensor[], attrs?: A) => AnyTensor
  /** The same for ops with several outputs. */
  readonly applyAll: (inputs: readonly Tensor[], attrs?: A) => readonly AnyTensor[]
}

/** An op applied to tensors. Equal ops with equal inputs and attributes are the same node. */
export interface Node {
  /** Unique in the process. */
  readonly id: number
  /** The operator. */
  readonly op: Op
  /** In the order of the operator. */
  readonly inputs: readonly Tensor[]
  /** Attributes by name. */
  readonly attrs: Attrs
  /** One or more. */
  readonly outputs: readonly Tensor[]
  /** Path of the layer that made the node, such as `blocks.0.attn`. */
  readonly scope: string
}

let nextId = 0
const interned = new Map<string, WeakRef<Node>>()
const forget = new FinalizationRegistry<string>(key => {
  if (!interned.get(key)?.deref()) interned.delete(key)
})

const attrKey = (value: Attr): string =>
  value instanceof Float64Array || value instanceof BigInt64Array
    ? `${value.constructor.name}${value.join()}`
    : Array.isArray(value)
      ? `[${value.join()}]`
      : String(value)

/** Nodes with the same op, inputs and attributes are one node; `key: null` makes a node that equals only itself. */
export function makeNode(op: Op, inputs: readonly Tensor[], attrs: Attrs, key?: null): Node {
  const sources = inputs.map(t => `${t.node.id}.${t.index}`).join()
  const name =
    key === null
      ? null
      : `${op.domain ?? ''}:${op.type}(${sources})${Object.keys(attrs)
          .sort()
          .map(k => `${k}=${attrKey(attrs[k])}`)
          .join()}`
  const known = name === null ? undefined : interned.get(name)?.deref()
  if (known) return known
  const types = op.infer(inputs, attrs)
  const outputs: Tensor[] = []
  const node: Node = {
    id: nextId++,
    op,
    inputs,
    attrs,
    outputs,
    scope: currentScope(),
  }
  types.forEach((type, index) => {
    outputs.push(Object.freeze({ dtype: type.dtype, shape: type.shape, node, index }))
  })
  if (name !== null) {
    interned.set(name, new WeakRef(node))
    forget.register(node, name)
  }
  return node
}

function makeOp<A extends Attrs>(type: string, spec: OpSpec<A>): Op<A> {
  const self: Op<A> = {
    ...spec,
    type,
    apply: (inputs, attrs) => self.applyAll(inputs, attrs)[0]!,
    applyAll: (inputs, attrs) => makeNode(self as unknown as Op, inputs, attrs ?? {}).outputs,
  }
  return self
}

/** Defines a primitive. Its public function is written beside it and calls `apply`. */
export function op<A extends Attrs = Record<never, never>>(type: string, spec: OpSpec<A>): Op<A> {
  const self = makeOp(type, spec)
  registry.push(self as unknown as Op)
  return self
}

/**
 * Defines an op that ONNX does not have: it marks a place in a graph, and is resolved before the graph is written. It is
 * not among {@link allOps}.
 */
export const marker = <A extends Attrs = Record<never, never>>(
  type: string,
  spec: Omit<OpSpec<A>, 'samples' | 'attrs'> & Required<Pick<OpSpec<A>, 'resolve'>>,
): Op<A> => makeOp(type, { ...spec, samples: [] })

const registry: Op[] = []

/** All primitives of the modules that have been loaded; what the op test and the importer walk through. */
export const allOps = (): readonly Op[] => registry

/** Throws unless all tensors have one dtype, and one that the op takes. */
export function sameDType(name: string, inputs: readonly TensorType[], allowed?: readonly DType[]): DType {
  const dtype = inputs[0]!.dtype
  const other = inputs.find(t => t.dtype !== dtype)
  if (other) throw new ShapeError(`${name}: dtypes ${dtype} and ${other.dtype} differ; cast one of them`)
  if (allowed && !allowed.includes(dtype))
    throw new ShapeError(`${name}: takes ${allowed.join(', ')}, not ${dtype}; cast it`)
  return dtype
}
