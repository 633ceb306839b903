import type { Attrs } from '../graph/attributes.ts'
import { makeNode } from '../graph/node.ts'
import { opOf } from '../graph/op.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { unsupported } from './unsupported.ts'

/** The first output of an op that has no public function. */
export function applied(type: string, inputs: readonly AnyTensor[], attrs: Attrs = {}): AnyTensor {
  const op = opOf(type)
  return (op && makeNode(op, inputs, attrs).outputs[0]) ?? unsupported(`operator ${type} is not supported`)
}
