import type { AnyTensor } from '../graph/tensor.ts'
import type { NodeReader } from './node-reader.ts'
import type { Value } from './value.ts'

/** Outputs of a node in ONNX's order; undefined for one that is not computed, which no node may read. */
export type Outputs = AnyTensor | Value | readonly (AnyTensor | undefined)[]

/**
 * How a node is expressed with ops. What it does not read is refused: attributes and inputs.
 * @throws Unsupported for a form that onnxgrad does not compute, UserError for one that ONNX does not allow
 */
export type Operator = (node: NodeReader, read: ReadAs) => Outputs

/** Reads another operator with the node's attributes, such as the float form of a quantized one. */
export type ReadAs = (type: string, inputs: readonly AnyTensor[]) => AnyTensor

/** Operators by ONNX's name. */
export type Operators = Readonly<Record<string, Operator>>
