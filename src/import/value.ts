import type { DType } from '../graph/dtype.ts'
import type { Int64 } from '../graph/int64.ts'
import type { AnyTensor } from '../graph/tensor.ts'

/** A number, a size such as `'batch'`, or (undefined) a value that only the run time will know. */
export type Element = Int64 | string | undefined

/**
 * A small tensor whose elements are followed through a file, so that a shape which the file computes when it runs
 * (`Shape → Gather → Concat → Reshape`) becomes dims. Unlike in a shape, -1 is the number.
 */
export interface Known {
  readonly dtype: DType
  readonly shape: readonly number[]
  /** In row-major order. */
  readonly values: readonly Element[]
}

/** Longer lists are data, not shapes. */
export const MOST = 1024
/** A derived size that is longer than this, as text, comes from no real model. */
export const LONGEST_DIM = 256

/** The value of a name in a file. */
export interface Value {
  /** Its elements, where they follow from constants and the sizes of the inputs. */
  readonly known?: Known
  /** Elements of a weight, for operators whose attributes are inputs: a weight is not folded into other values. */
  readonly stored?: () => Known
  /** The tensor in the graph, made when a node first reads it as data. */
  readonly tensor: () => AnyTensor
}

/** The value of a tensor that a node computes. */
export const computed = (t: AnyTensor): Value => ({ tensor: () => t })

/** The one element of a value, where it is known. */
export const onlyElement = (value: Value | undefined): Element => {
  const values = value?.known?.values
  return values?.length === 1 ? values[0] : undefined
}
