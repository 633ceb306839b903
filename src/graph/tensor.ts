import type { DType } from './dtype.ts'
import type { Node } from './node.ts'
import type { Shape } from './shape.ts'

/**
 * An immutable value in a graph: what it holds is known when the graph runs, its dtype and shape when it is built.
 * `D` and `S` carry both in the type; `S` may hold sizes, symbols and `number` for "unknown".
 */
export interface Tensor<out D extends DType = DType, out S = Shape> {
  readonly dtype: D
  readonly shape: S
  /** The node that computes this tensor, and which of its outputs it is. */
  readonly node: Node
  readonly index: number
}

/** The escape type: fits every tensor type and is fitted by every tensor. Results of unchecked code have it. */
// biome-ignore lint/suspicious/noExplicitAny: the one place where shape checking is switched off
export type AnyTensor = Tensor<any, any>
