import type { Attrs } from './attributes.ts'
import type { DType } from './dtype.ts'

/** What the graph compiler must know of the place where a graph will run. */
export interface Target {
  readonly name: string
  /** Operators of the `com.microsoft` domain may be used. */
  readonly contrib: boolean
  /** Its matrix products outrun its sums over leading axes and its transpositions, as onnxruntime's CPU kernels do. */
  readonly prefersProducts: boolean
  /** Most inputs or outputs that one node may have (buffers that a shader can bind). */
  readonly maxFanout: number
  /**
   * An optimizer goes over its vectors many times: state is cut into parts of at least this many values, which stay in a
   * core's cache meanwhile.
   */
  readonly statePart: number
  /** Operators without a (correct) kernel for a dtype and, where it depends on them, for a node's attributes. */
  readonly lacks: (op: string, dtype: DType, attrs?: Attrs) => boolean
  /** Largest absolute error of float32 operators that are less exact here than arithmetic is. */
  readonly inexact: Readonly<Record<string, number>>
}
