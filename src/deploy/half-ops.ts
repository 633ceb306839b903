import { sizeOfDims } from '../graph/array.ts'
import type { Attr } from '../graph/attributes.ts'
import { HALF_MAX } from '../graph/half.ts'
import { Constant, constantOf, filledWith } from '../graph/leaf.ts'
import type { Node } from '../graph/node.ts'
import type { Tensor } from '../graph/tensor.ts'

/** The smallest that has all of its bits; below it, a number keeps fewer with each power of two. */
export const HALF_NORMAL = 2 ** -14

/**
 * How a node computes where floats become half precision.
 * - `half`: in half precision. Runtimes add products up in single precision, or their hardware does.
 * - `elementwise`, `movement`: in the precision of what it reads. A value that is only moved loses nothing.
 * - `contained`: in single precision, with a result in the range of half precision, which is rounded at once.
 * - `wide`: in single precision, and so do those that follow: what it computes may be large, tiny, or the argument of an exponential.
 */
export type HalfKind = 'half' | 'elementwise' | 'movement' | 'contained' | 'wide'

const kinds = (kind: HalfKind, types: string): [string, HalfKind][] =>
  types.split(' ').map(type => [type, kind])

// ONNX allows float16 for all of these in opset 17 already; what it does not (Celu, Range, IsInf, QuantizeLinear) is not among them, and
// neither are operators that are wrong, or missing, in a runtime for float16 (Resize, GridSample).
const KINDS: ReadonlyMap<string, HalfKind> = new Map([
  ...kinds('half', 'Conv ConvTranspose MatMul Gemm LSTM GRU RNN'),
  ...kinds(
    'elementwise',
    'Add Sub Mul Neg Abs Sign Relu LeakyRelu PRelu ThresholdedRelu Elu Selu HardSigmoid HardSwish Sigmoid Tanh Erf Gelu Mish Clip Max Min Where Equal Greater Less GreaterOrEqual LessOrEqual',
  ),
  ...kinds(
    'movement',
    'Reshape Transpose Expand Concat Split Slice Pad Tile Gather GatherElements GatherND Identity DepthToSpace SpaceToDepth ReverseSequence MaxPool AveragePool ReduceMax ReduceMin ArgMax ArgMin TopK',
  ),
  ...kinds('contained', 'Softmax LogSoftmax LayerNormalization BatchNormalization InstanceNormalization'),
])

/** Elements that an average may have in half precision; it is a sum that some runtimes add up in it. */
const MOST_AVERAGED = 64

/** How a node computes, of its kind and its attributes. */
export function kindOf(node: Node): HalfKind {
  const { op, attrs, inputs } = node
  // A file's own operators, and those of a program, state the types that they take.
  if (op.domain || op.kept) return 'wide'
  // A condition is 0 or 1 in any precision.
  if (op.type === 'Cast') return inputs[0]?.dtype === 'bool' ? 'movement' : 'wide'
  if (op.type === 'Div') return inputs[1] && filledWith(inputs[1]) !== undefined ? 'elementwise' : 'wide'
  if (op.type === 'Transpose' && takesBatchIn(attrs.perm)) return 'contained'
  if (op.type === 'AveragePool') {
    const window = attrs.kernel_shape
    const size = Array.isArray(window) ? sizeOfDims(window.map(Number)) : Number.POSITIVE_INFINITY
    return size <= MOST_AVERAGED ? 'movement' : 'wide'
  }
  return KINDS.get(op.type) ?? 'wide'
}

/**
 * Whether a transpose moves the first of three or more axes to the last two. onnxruntime 1.30 crashes when it loads such a one, of float16,
 * before a product on the CPU: it fuses both to a FusedMatMul with `transBatchA` (optimization `all`; `extended` is right).
 */
const takesBatchIn = (perm: Attr): boolean =>
  Array.isArray(perm) && perm.length > 2 && perm.slice(-2).includes(0)

/** Whether half precision holds a number up to its rounding; infinities are the same in both. */
export const fitsHalf = (value: number): boolean => {
  const size = Math.abs(value)
  return size === 0 || size === Number.POSITIVE_INFINITY || (size >= HALF_NORMAL && size <= HALF_MAX)
}

/** Constants that a node reads or has as an attribute and that half precision does not hold: the mask −1e9, an epsilon of 1e-12. */
export function unfitConstants({ op, attrs, inputs }: Node): number[] {
  const read = inputs.flatMap((t: Tensor) =>
    t.node.op === Constant && t.dtype === 'float32' ? Array.from(constantOf(t.node), Number) : [],
  )
  const own = Object.entries(op.attrs ?? {}).flatMap(([name, { kind }]) => {
    const value = attrs[name]
    return (kind === 'scalar' || kind === 'float') && typeof value === 'number' ? [value] : []
  })
  return [...read, ...own].filter(v => !fitsHalf(v))
}
