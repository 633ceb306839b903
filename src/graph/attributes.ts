import type { DType } from './dtype.ts'
import type { Init } from './init.ts'
import type { Dim, Shape } from './shape.ts'

/** Dtype and shape of a tensor, without the node that makes it. */
export interface TensorType {
  /** Element type. */
  readonly dtype: DType
  /** Sizes of the axes: numbers, and symbols such as `batch`. */
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
  | BigUint64Array
  | Init
  | undefined
/** Whether an attribute holds the elements of a constant. */
export const isNumbers = (value: Attr): value is Float64Array | BigInt64Array | BigUint64Array =>
  value instanceof Float64Array || value instanceof BigInt64Array || value instanceof BigUint64Array

/** Attributes of a node by name. */
export type Attrs = Readonly<Record<string, Attr>>

/** A node of a file, as the facts about its operator see it. */
export interface OnnxNode {
  /** Of the file. */
  readonly opset: number
  /** Types of the inputs that are data. */
  readonly inputs: readonly TensorType[]
  /** How many outputs the node has. */
  readonly outputs: number
  /** Attributes that the node gives, by the op's names. */
  readonly attrs: Attrs
  /** A number that the node gives as an attribute or, as a constant, as an input. */
  readonly number: (name: string, input?: number) => number | undefined
}

/** How ONNX writes an attribute whose value is a `T`. Made by {@link attr}. */
export interface AttrForm<out T extends Attr = Attr> extends FormOptions<T> {
  /**
   * `scalar` is a number of the first input's dtype, `dims` a shape that may hold symbols, `names` a list of strings joined by
   * commas (a list would be read as dims); `internal` is not part of a file.
   */
  readonly kind:
    | 'int'
    | 'float'
    | 'bool'
    | 'string'
    | 'dtype'
    | 'ints'
    | 'floats'
    | 'names'
    | 'dims'
    | 'scalar'
    | 'internal'
}

/** ONNX's definition of an attribute: its name, default and place. */
export interface FormOptions<out T extends Attr> {
  /** ONNX's name. @default the name in onnxgrad */
  readonly name?: string
  /** Which input it is, where ONNX wants a tensor. */
  readonly input?: number
  /** The first opset in which it is that input; before, it was an attribute. @default all */
  readonly since?: number
  /** ONNX's default. Without one a node must give the attribute. */
  readonly default?: T | ((node: OnnxNode) => T)
  /** ONNX needs no value, and there is none by default. */
  readonly optional?: true
  /** The values that are supported. @default all */
  readonly of?: readonly T[]
  /** An empty list means the default. */
  readonly emptyIsDefault?: true
  /**
   * Integers are places in an axis: those beyond every size mean what the largest size means, so ±2⁵³ stand for them.
   */
  readonly saturates?: true
  /** What a file of an opset writes for a value. @throws UserError for one that the opset does not have */
  readonly written?: { rule(value: T, opset: number): Attr }['rule']
  /** Of `dims`: the dims that a file asks for, written out, and the reverse where not all of them are known. */
  readonly dims?: DimsRule
}

/** How the dims of an attribute differ between a file and a graph. */
export interface DimsRule {
  /** The dims that a file asks for, written out. */
  readonly read: (target: Shape, x: Shape, node: OnnxNode) => Shape
  /** Dims for the file if the operator resolves symbols itself; undefined otherwise. */
  readonly write: (dims: Shape, x: Shape) => readonly number[] | undefined
}

type Form = <T extends Attr>(kind: AttrForm['kind'], options: FormOptions<T> | undefined) => AttrForm<T>
const form: Form = (kind, options) => ({ kind, ...options })

/** Forms of attributes: `attrs: { axis: attr.int({ default: -1 }) }`. The type of the attribute follows from its form. */
export const attr = {
  int: <T extends number | undefined = number>(options?: FormOptions<NoInfer<T>>): AttrForm<T> =>
    form('int', options),
  float: <T extends number | undefined = number>(options?: FormOptions<NoInfer<T>>): AttrForm<T> =>
    form('float', options),
  bool: <T extends boolean | undefined = boolean>(options?: FormOptions<NoInfer<T>>): AttrForm<T> =>
    form('bool', options),
  string: <const T extends string | undefined = string>(options?: FormOptions<T>): AttrForm<T> =>
    form('string', options),
  /** An element type, such as the target of a cast. */
  dtype: (options?: FormOptions<DType>): AttrForm<DType> => form('dtype', options),
  ints: <T extends readonly number[] | undefined = readonly number[]>(
    options?: FormOptions<NoInfer<T>>,
  ): AttrForm<T> => form('ints', options),
  floats: <T extends readonly number[] | undefined = readonly number[]>(
    options?: FormOptions<T>,
  ): AttrForm<T> => form('floats', options),
  /** Strings, joined by commas. */
  names: <T extends string | undefined = string>(options?: FormOptions<T>): AttrForm<T> =>
    form('names', options),
  /** A shape, which may hold symbols. */
  dims: <T extends Shape | undefined = Shape>(options?: FormOptions<T>): AttrForm<T> => form('dims', options),
  /** A number of the first input's dtype. */
  scalar: <T extends number | undefined = number>(options?: FormOptions<T>): AttrForm<T> =>
    form('scalar', options),
  /** Internal to onnxgrad: not written to files. */
  internal: <T extends Attr>(options?: FormOptions<T>): AttrForm<T> => form('internal', options),
}
