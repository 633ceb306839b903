import {
  type Attr,
  type AttrForm,
  type Attrs,
  isNumbers,
  type OnnxNode,
  type TensorType,
} from './attributes.ts'
import type { DType } from './dtype.ts'
import type { Each, Given, Names } from './names.ts'
import type { Sample, SampleInput } from './sample.ts'
import { currentScope } from './scope.ts'
import type { Shape } from './shape.ts'

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

/**
 * A rule of an op. Its parameters are compared bivariantly, so that the op of a node can be compared with one of known arity:
 * the graph calls a rule only with inputs and attributes of a node of that very op, which its type rule has accepted.
 */
export type OpRule<P extends readonly unknown[], R> = { rule(...args: P): R }['rule']

/** What a gradient rule reads. */
export interface VjpArgs<A extends Attrs, I extends Names, O extends Names> {
  /** Inputs of the node. */
  readonly x: Each<I, AnyTensor>
  /** Outputs of the node. */
  readonly y: Each<O, AnyTensor>
  /** Gradient of the first output (zeros when only another output is used). */
  readonly dy: AnyTensor
  /** Gradients of all outputs; `undefined` where nothing depends on one. */
  readonly dys: Each<O, AnyTensor | undefined>
  /** Attributes of the node. */
  readonly attrs: A
}

/** One gradient for each input, `null` where an input has none. Broadcasting is undone by the engine. */
export type Vjp<A extends Attrs = Attrs, I extends Names = Names, O extends Names = readonly ['Y']> = OpRule<
  [args: VjpArgs<A, I, O>],
  Given<I, AnyTensor | null>
>

/** Why an op has no gradient. */
export interface NoGradient {
  /** The reason, as a clause: `its output is boolean`. */
  readonly none: string
}

/** ONNX's definition of an operator: its inputs, attributes and their defaults. */
export interface Signature<A extends Attrs, I extends Names> {
  /** ONNX's names of the inputs: `'B?'` may be left out, `'...inputs'` stands for one or more. */
  readonly inputs: I
  /** @default ONNX's own domain */
  readonly domain?: string
  /** How each attribute is written in ONNX. */
  readonly attrs?: { readonly [K in keyof A]: AttrForm<A[K]> }
  /** Attributes of ONNX that the op does not have, each with the one value that changes nothing. */
  readonly neutral?: Readonly<Record<string, number | string | readonly number[]>>
  /** Throws a UserError for a node that ONNX allows and the op does not support. */
  readonly check?: (node: OnnxNode) => void
}

/** The definition of an op. `I` and `O` are the names of its inputs and outputs, which type the rules' tuples. */
export interface OpSpec<A extends Attrs, I extends Names, O extends Names> extends Signature<A, I> {
  /** ONNX's names of the outputs, as for `inputs`. @default ['Y'] */
  readonly outputs?: O
  /** Inputs that a trained model keeps but does not learn, such as running statistics. */
  readonly buffers?: readonly NoInfer<I[number]>[]
  /** The type rule: output types for input types. Throws a ShapeError that starts with the op's public name. */
  readonly infer: OpRule<[inputs: Each<I, TensorType>, attrs: A], Given<O, TensorType>>
  /** The gradient rule, or the reason for having none: `noGradient('its output is boolean')`. */
  readonly vjp: Vjp<A, I, O> | NoGradient
  /** Inputs (and attributes) to test the op with; they can be passed to the test instead. */
  readonly samples?: readonly Sample<NoInfer<A>, Given<I, SampleInput>>[]
  /** Multiply–accumulates of one evaluation, for ops that have any. */
  readonly macs?: OpRule<[inputs: Each<I, TensorType>, outputs: Each<O, TensorType>, attrs: A], number>
  /**
   * Where the op works element by element: for an axis of its outputs, the axis of each input that runs along with it
   * (`null`: that input is read whole); undefined where the op mixes the axis.
   */
  readonly along?: Along<A, I>
  /** The output reads the memory of the input under another shape. */
  readonly view?: true
  /** The same outputs from elementary ops, for targets without a kernel for this op. */
  readonly decompose?: OpRewriting<A, I, O>
  /** Whether onnxruntime has no (correct) kernel on a device: `decompose` takes its place there. */
  readonly lacks?: OpRule<
    [place: { readonly device: string; readonly dtype: DType; readonly attrs: A }],
    boolean
  >
  /** The same outputs from nodes with at most `most` inputs and outputs, for ops that can have more. */
  readonly narrow?: OpRule<[inputs: Each<I, AnyTensor>, attrs: A, most: number], Given<O, AnyTensor>>
  /** The operator is not known here and runs as its file has it, whose version of the domain this is. */
  readonly kept?: { readonly version: number }
  /** The op draws random numbers while training and is the identity elsewhere. */
  readonly random?: true
  /** The same outputs in another form for training steps, which compute and differentiate it. */
  readonly training?: OpRewriting<A, I, O>
  /** The opset that introduced the operator, if later than 13. */
  readonly since?: number
  /** The opset that introduced what a node's attributes ask for, for operators that later opsets have extended. */
  readonly needs?: OpRule<[attrs: A], number>
  /** At which places of the operator a node's inputs stand, for operators whose optional inputs can be left out one by one. */
  readonly places?: OpRule<[attrs: A], readonly number[]>
  /** The op's replacement outside training steps, if it is not an ONNX operator. */
  readonly resolve?: OpRewriting<A, I, O>
}

/** A rule that computes the outputs of an op in another way. */
export type OpRewriting<A extends Attrs, I extends Names, O extends Names> = OpRule<
  [inputs: Each<I, AnyTensor>, attrs: A],
  Given<O, AnyTensor>
>

/** A rule that says which axes run along with an axis of the outputs. */
export type Along<A extends Attrs = Attrs, I extends Names = Names> = OpRule<
  [axis: number, inputs: Each<I, TensorType>, attrs: A],
  readonly (number | null)[] | undefined
>

/** What follows the inputs where an op is applied: nothing for an op without attributes. */
export type OpArguments<A> = [keyof A] extends [never] ? [] : [attrs: A]

/** A primitive: one operator of ONNX with its rules. */
export interface Op<A extends Attrs = Attrs, I extends Names = Names, O extends Names = Names>
  extends OpSpec<A, I, O> {
  /** The operator's name in ONNX. */
  readonly type: string
  /** Adds a node for this op and returns its first output. */
  readonly apply: OpRule<[inputs: Given<I, Tensor>, ...OpArguments<A>], AnyTensor>
  /** The same for ops with several outputs. */
  readonly applyAll: OpRule<[inputs: Given<I, Tensor>, ...OpArguments<A>], Each<O, AnyTensor>>
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

const ids = new WeakMap<object, number>()
let nextOp = 0

/** Two ops may have one name: one that files are read with, and a program's own. */
function idOf(op: Op): number {
  const known = ids.get(op)
  if (known !== undefined) return known
  ids.set(op, nextOp)
  return nextOp++
}

const attrKey = (value: Attr): string =>
  isNumbers(value)
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
      : `${idOf(op)}(${sources})${Object.keys(attrs)
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
