import type { AnyTensor } from '../graph/tensor.ts'
import type { FileNode } from './file-node.ts'

/** How a user's program expresses a node with ops. */
type OwnOperator = (node: FileNode) => AnyTensor | readonly (AnyTensor | undefined)[]

const own = new Map<string, OwnOperator>()

/**
 * Declares how files that have an operator are read: as other ops, such as
 * `imports('Mish', node => mul(node.data(0), tanh(softplus(node.data(0)))))`. It comes before onnxgrad's own way.
 * @experimental
 * @param type ONNX's name of the operator
 * @param operator returns the outputs in ONNX's order; undefined for one that is not computed
 * @param domain ONNX's own where it is left out
 */
export function imports(
  type: string,
  operator: (node: FileNode) => AnyTensor | readonly (AnyTensor | undefined)[],
  domain = '',
): void {
  own.set(`${domain}.${type}`, operator)
}

export const ownOperator = (type: string, domain: string): OwnOperator | undefined =>
  own.get(`${domain}.${type}`)
