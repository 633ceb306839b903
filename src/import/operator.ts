import type { AnyTensor } from '../graph/tensor.ts'
import type { NodeReader } from './node-reader.ts'
import { computed, type Value } from './value.ts'

/** Outputs of a node in ONNX's order; undefined for one that is not computed, which no node may read. */
export type Outputs = AnyTensor | Value | readonly (AnyTensor | undefined)[]

/** Values of a node's outputs; undefined for one that is not computed. */
export type Results = readonly (Value | undefined)[]

const isList = (outputs: Outputs): outputs is readonly (AnyTensor | undefined)[] => Array.isArray(outputs)

const isValue = (result: AnyTensor | Value): result is Value => 'tensor' in result

/** What an operator returned, as values. */
export function valuesOf(outputs: Outputs): Results {
  const all = isList(outputs) ? outputs : [outputs]
  return all.map(result => result && (isValue(result) ? result : computed(result)))
}

/**
 * How a node is expressed with ops. What it does not read is refused: attributes and inputs.
 * @throws Unsupported for a form that onnxgrad does not compute, UserError for one that ONNX does not allow
 */
export type Operator = (node: NodeReader, read: ReadAs) => Outputs

/** Reads another operator with the node's attributes, such as the float form of a quantized one. */
export type ReadAs = (type: string, inputs: readonly AnyTensor[]) => AnyTensor

/** Operators by ONNX's name. */
export type Operators = Readonly<Record<string, Operator>>
