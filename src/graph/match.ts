import type { Attrs } from './attributes.ts'
import type { Each, Names } from './names.ts'
import type { Node, Op } from './node.ts'
import { nth } from './present.ts'
import type { AnyTensor, Tensor } from './tensor.ts'

/** A node of a known op: inputs, outputs and attributes have that op's types. */
export interface Match<A extends Attrs, I extends Names, O extends Names> {
  readonly inputs: Each<I, AnyTensor>
  readonly outputs: Each<O, AnyTensor>
  readonly attrs: A
}

/** The node, when it is one of `op`. @param inputs read in place of its own, such as those that are rewritten already */
export const match = <A extends Attrs, I extends Names, O extends Names>(
  node: Node,
  op: Op<A, I, O>,
  inputs: readonly Tensor[] = node.inputs,
): Match<A, I, O> | undefined => {
  const { outputs, attrs } = node
  const found: Matched = { op: node.op, inputs, outputs, attrs }
  return isOf(found, op) ? found : undefined
}

type Matched = Pick<Node, 'op' | 'inputs' | 'outputs' | 'attrs'>

/** A node's op tells the types of its inputs, outputs and attributes. */
const isOf = <A extends Attrs, I extends Names, O extends Names>(
  found: Matched,
  op: Op<A, I, O>,
): found is Matched & Match<A, I, O> => Object.is(found.op, op)

/** The only output of a node. */
export const onlyOutput = ({ outputs }: Pick<Node, 'outputs'>): AnyTensor => nth(outputs, 0)
