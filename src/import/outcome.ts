import type { TypedArray } from '../graph/array.ts'
import type { Graph } from '../graph/graph.ts'
import type { Tensor } from '../graph/tensor.ts'

/** A node that is kept as its file has it. */
export interface KeptNode {
  /** The operator. */
  readonly type: string
  /** Its domain; empty for ONNX's own. */
  readonly domain: string
  /** Path of its layer. */
  readonly path: string
  /** Why it is not computed with ops. */
  readonly reason: string
}

/** What became of a node. */
export interface NodeOutcome {
  /** The operator; of another domain than ONNX's own, with that. */
  readonly operator: string
  /** `kept` as the file has it; `unreached` where it reads what a refused node computes. */
  readonly kind: 'imported' | 'kept' | 'refused' | 'unreached'
  /** Why it is not imported. */
  readonly reason?: string
}

/** A model read from a file. */
export interface Imported {
  /** Inputs, parameters and outputs under their names in the file. */
  readonly graph: Graph
  /** Values of the graph's parameters, by name; those of half precision as float32. */
  readonly weights: ReadonlyMap<string, { readonly dims: readonly number[]; readonly data: TypedArray }>
  /** What the file's nodes compute, also where no output depends on it; but for sizes and the like. */
  readonly computed: readonly Tensor[]
  /** Nodes that run as the file has them, and have no gradient. */
  readonly kept: readonly KeptNode[]
}
