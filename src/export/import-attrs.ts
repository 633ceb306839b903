import { UserError } from '../graph/errors.ts'
import { type Int64, saturated } from '../graph/int64.ts'
import { Constant, type ConstantData } from '../graph/leaf.ts'
import type { Attr, AttrForm, Attrs, Op, TensorType } from '../graph/node.ts'
import { printable } from '../graph/printable.ts'
import { broadcast, type Dim, reshape, type Shape, show, UNKNOWN } from '../graph/shape.ts'
import { asNumber, type NodeReader } from './import-node.ts'
import { dtypeOf } from './tensor-data.ts'

/** Attributes of a registered op, from the node's own attributes, its constant inputs and ONNX's defaults. */
export function attrsOf(op: Op, node: NodeReader, inputs: readonly TensorType[]): Attrs {
  const forms = Object.entries(op.attrs ?? {}).filter((e): e is [string, AttrForm] => e[1] !== undefined)
  const given: Record<string, Attr> = {}
  for (const [name, form] of forms) {
    const value = read(name, form, node, inputs[0]!)
    // ONNX takes an empty list of axes for none given.
    if (value !== undefined && !(name === 'axes' && Array.isArray(value) && !value.length))
      given[name] = value
  }
  const attrs = { ...DEFAULTS.get(op.type)?.(inputs, given, node), ...given }
  for (const [name, { kind }] of forms)
    if (attrs[name] === undefined && kind !== 'scalar') throw new UserError(`attribute ${name} is missing`)
  return attrs
}

/** How an input is called that is an attribute in onnxgrad, where ONNX gives the attribute another name. */
const OLD_NAMES: Readonly<Record<string, string>> = { sizes: 'split' }

function read(name: string, form: AttrForm, node: NodeReader, x: TensorType): Attr {
  const { kind, input, saturates } = form
  const old = OLD_NAMES[name] ?? name
  if (kind === 'ints') return node.ints(input === undefined ? name : old, input, saturates)
  if (kind === 'dims') return resolveDims(node, node.dims(input!), x)
  if (input !== undefined && !node.has(name)) return scalarInput(name, form, node)
  const number = () => node.attribute(name, 'int')
  switch (kind) {
    case 'int':
      return number()
    case 'bool': {
      const value = number()
      return value === undefined ? undefined : value !== 0
    }
    case 'dtype': {
      const code = number()
      const dtype = dtypeOf(code)
      if (code !== undefined && !dtype) throw new UserError(`element type ${code} is not supported`)
      return dtype
    }
    case 'string':
      return node.attribute(name, 'string')
    default:
      return node.attribute(name, 'float')
  }
}

/** A number that ONNX holds as an input: exact where it is data, else one that sizes and axes can be. */
function scalarInput(
  name: string,
  { kind, input = 0, saturates }: AttrForm,
  node: NodeReader,
): Int64 | undefined {
  const value = node.inputs[input]
  if (!value) return undefined
  const t = value.tensor()
  const [number] = t.node.op === Constant ? (t.node.attrs.data as ConstantData) : []
  if (number === undefined || t.shape.some((d: Dim) => d !== 1))
    throw new UserError(`${name} (input ${input}) is not a constant number`)
  if (kind === 'scalar') return number
  return saturates ? saturated(number) : asNumber(number, name)
}

/** The dims that a Reshape or Expand asks for, written out. */
function resolveDims(node: NodeReader, target: Shape, x: TensorType): Shape {
  if (node.type === 'Expand') return broadcast('expand', x.shape, target)
  if (node.attribute('allowzero', 'int')) return reshape('reshape', x.shape, target)
  // A 0 copies the dim at its place. Copies cancel out of what the -1 is computed from, known or not.
  const copies = (i: number) => target[i] === 0
  if (target.some((_, i) => copies(i) && i >= x.shape.length))
    throw new UserError(`${show(target)} copies a dim that ${show(x.shape)} does not have`)
  const rest = reshape(
    'reshape',
    x.shape.filter((_, i) => !copies(i)),
    target.filter((_, i) => !copies(i)),
  )
  let next = 0
  return target.map((_, i) => (copies(i) ? x.shape[i]! : rest[next++]!))
}

type Default = (
  inputs: readonly TensorType[],
  given: Readonly<Record<string, Attr>>,
  node: NodeReader,
) => Attrs

const axes = (t: TensorType | undefined): number[] => [...(t?.shape.keys() ?? [])]
const reduction: Default = ([x], given, node) => {
  if (node.attribute('noop_with_empty_axes', 'int') && !given.axes)
    throw new UserError('noop_with_empty_axes without axes is not supported')
  return { axes: axes(x), keepdims: true }
}
/** Until opset 12 the dims from `axis` on were one. */
const softmax: Default = ([x], given, node) => {
  const axis = given.axis ?? (node.opset < 13 ? 1 : -1)
  if (node.opset < 13 && axis !== -1 && axis !== x!.shape.length - 1)
    throw new UserError(`axis ${axis} of ${show(x!.shape)} in opset ${node.opset} is not supported`)
  return { axis }
}
/** Of convolutions and pools; onnxgrad has those over two axes. */
const windows: Default = ([x, w], given) => {
  for (const [name, count] of Object.entries({ kernel_shape: 2, strides: 2, dilations: 2, pads: 4 })) {
    const value = given[name]
    if (x!.shape.length !== 4 || (Array.isArray(value) && value.length !== count))
      throw new UserError(`windows over ${show(x!.shape)} are not supported, only over two axes`)
  }
  const whole = { strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] }
  return w ? { ...whole, group: 1, kernel_shape: w.shape.slice(2) } : whole
}
const axis0: Default = () => ({ axis: 0 })

/** ONNX's default values, for what a node leaves out. */
const DEFAULTS: ReadonlyMap<string, Default> = new Map(
  Object.entries({
    Softmax: softmax,
    LogSoftmax: softmax,
    BatchNormalization: () => ({ epsilon: 1e-5, momentum: 0.9 }),
    LayerNormalization: () => ({ axis: -1, epsilon: 1e-5 }),
    Transpose: ([x]) => ({ perm: axes(x).reverse() }),
    Gather: axis0,
    GatherElements: axis0,
    ScatterElements: (_, { reduction }) => {
      if (reduction !== 'add')
        throw new UserError(`reduction ${printable(String(reduction ?? 'none'))} is not supported, only add`)
      return { axis: 0 }
    },
    ArgMax: () => ({ axis: 0, keepdims: true }),
    TopK: () => ({ axis: -1, largest: true, sorted: true }),
    ReduceSum: reduction,
    ReduceMean: reduction,
    ReduceMax: reduction,
    ReduceMin: reduction,
    CumSum: () => ({ reverse: false }),
    Trilu: () => ({ upper: true, k: 0 }),
    Pad: () => ({ value: 0 }),
    Conv: windows,
    ConvTranspose: (...args) => ({ ...windows(...args), output_padding: [0, 0] }),
    MaxPool: (inputs, given, node) => ({ ...windows(inputs, given, node), indices: node.outputs > 1 }),
    AveragePool: (inputs, given, node) => {
      if (!given.count_include_pad && (given.pads as readonly number[] | undefined)?.some(Boolean))
        throw new UserError('padding that does not count in the mean is not supported')
      return { ...windows(inputs, given, node), count_include_pad: 1 }
    },
    Slice: (_, { starts }) => {
      const count = [...((starts as readonly number[] | undefined) ?? []).keys()]
      return { axes: count, steps: count.map(() => 1) }
    },
    Split: ([x], given, node) => {
      const axis = (given.axis as number | undefined) ?? 0
      const parts = node.attribute('num_outputs', 'int') ?? node.outputs
      if (parts !== node.outputs)
        throw new UserError(`num_outputs is ${parts}, but the node has ${node.outputs} outputs`)
      const dim = x!.shape.at(axis)
      if (typeof dim !== 'number' || dim === UNKNOWN)
        throw new UserError(`axis ${axis} of ${show(x!.shape)} has no known size to split`)
      // The last piece takes what is left.
      const size = Math.ceil(dim / parts)
      return { axis, sizes: Array.from({ length: parts }, (_, i) => Math.min(size, dim - i * size)) }
    },
    FusedMatMul: () => ({ alpha: 1, transA: false, transB: false, transBatchA: false, transBatchB: false }),
  } satisfies Record<string, Default>),
)

/** Attributes that importing leaves away, at the one value that changes nothing. */
const NEUTRAL: ReadonlyMap<string, number | string | readonly number[]> = new Map(
  Object.entries({
    'ArgMax.select_last_index': 0,
    'AveragePool.auto_pad': 'NOTSET',
    'AveragePool.ceil_mode': 0,
    'AveragePool.dilations': [1, 1],
    'BatchNormalization.training_mode': 0,
    'Cast.saturate': 1,
    'Conv.auto_pad': 'NOTSET',
    'ConvTranspose.auto_pad': 'NOTSET',
    'CumSum.exclusive': 0,
    'LayerNormalization.stash_type': 1,
    'MaxPool.auto_pad': 'NOTSET',
    'MaxPool.ceil_mode': 0,
    'MaxPool.storage_order': 0,
    'Pad.mode': 'constant',
  }),
)

/** @throws UserError when the node has an attribute that importing would lose */
export function refuseUnread(node: NodeReader): void {
  for (const name of node.unread()) {
    const neutral = NEUTRAL.get(`${node.type}.${name}`)
    if (neutral === undefined) throw new UserError(`attribute ${printable(name)} is not supported`)
    const kind = typeof neutral === 'string' ? 'string' : typeof neutral === 'number' ? 'int' : 'ints'
    const value = String(node.attribute(name, kind))
    if (value !== String(neutral))
      throw new UserError(`attribute ${name} = ${printable(value)} is not supported, only ${neutral}`)
  }
}
