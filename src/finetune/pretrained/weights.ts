import { sizeOfDims, type TypedArray } from '../../graph/array.ts'
import { type DType, isFloat } from '../../graph/dtype.ts'
import { UserError } from '../../graph/errors.ts'
import { fromHalf } from '../../graph/half.ts'
import { show } from '../../graph/shape.ts'

/** A tensor of a checkpoint, such as `readSafetensors` returns. */
export interface PretrainedTensor {
  /** Element type. @default 'float32' for a Float32Array; other arrays are no weights without one */
  readonly dtype?: DType
  /** Sizes of the axes. */
  readonly shape: readonly number[]
  /** Elements in row-major order; float16 as its 16 bits. */
  readonly data: TypedArray
}

/** Tensors of a checkpoint, by name. */
export type PretrainedWeights = Readonly<Record<string, PretrainedTensor>>

/** A float32 tensor outside of a graph. */
export interface Values {
  readonly shape: readonly number[]
  readonly data: Float32Array
}

/** Counters of PyTorch's batch norms, and vectors of an optimizer in a checkpoint of onnxgrad: no weights. */
const IGNORED = /(^|\.)num_batches_tracked$|^optimizer\./

function toFloat({ dtype = 'float32', data }: PretrainedTensor): Float32Array {
  if (data instanceof Float32Array) return data
  if (dtype === 'float16' && data instanceof Uint16Array) return Float32Array.from(data, fromHalf)
  return Float32Array.from(data as ArrayLike<number>)
}

/**
 * The float tensors of a checkpoint as float32, and the names of the others; counters are left out.
 * @throws UserError for a tensor whose data does not fill its shape
 */
export function floatsOf(weights: PretrainedWeights): {
  readonly floats: ReadonlyMap<string, Values>
  readonly others: readonly string[]
} {
  const floats = new Map<string, Values>()
  const others: string[] = []
  for (const [name, tensor] of Object.entries(weights)) {
    if (IGNORED.test(name)) continue
    const { shape } = tensor
    const { dtype = tensor.data instanceof Float32Array ? 'float32' : 'int64' } = tensor
    if (!isFloat(dtype)) {
      others.push(name)
      continue
    }
    const data = toFloat(tensor)
    if (data.length !== sizeOfDims(shape))
      throw new UserError(`weights: ${name} has ${data.length} values, which do not fill ${show(shape)}`)
    floats.set(name, { shape, data })
  }
  return { floats, others }
}
