import type { DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { type Graph, rewrite, sameTensors } from '../graph/graph.ts'
import type { Node, Op } from '../graph/node.ts'
import { sinceOf } from '../graph/op.ts'
import { sameShape, show } from '../graph/shape.ts'
import type { Target } from '../graph/target.ts'
import type { Tensor } from '../graph/tensor.ts'

/** The domain of onnxruntime's own operators. */
const CONTRIB = 'com.microsoft'

/** A decomposition may hold what is lacking in its turn: an op of a user's own a GELU, that an erf, that a sign. */
const DEPTH = 8

/** Whether an op is of a user's own domain, so that no runtime has it. */
export const isOwn = ({ domain = '' }: Op): boolean => domain !== '' && domain !== CONTRIB

/** Whether no runtime has a node's operator, or none but onnxruntime where that is not meant. */
const isForeign = ({ op }: Node, contrib: boolean): boolean =>
  (isOwn(op) && !op.kept) || (!contrib && op.domain === CONTRIB)

/** Replaces nodes by the decompositions of their ops. @param why what is said of a node whose op has none */
function replaceAll(graph: Graph, lacks: (node: Node) => boolean, why: (node: Node) => string): Graph {
  const once = (given: Graph): Graph =>
    rewrite(given, (node, inputs) => {
      if (!lacks(node)) return undefined
      if (!node.op.decompose) throw new UserError(`${nameOf(node)} ${why(node)}`)
      const parts = node.op.decompose(inputs, node.attrs)
      checkParts(node, parts)
      return parts
    })
  let current = graph
  for (let depth = 0; depth < DEPTH; depth++) {
    const next = once(current)
    if (sameTensors(current.outputs, next.outputs)) break
    current = next
  }
  return current
}

/** Throws unless a decomposition has the outputs that the op's type rule says. */
function checkParts(node: Node, parts: readonly Tensor[]): void {
  const typeOf = (t: Tensor | undefined) => (t ? `${t.dtype} ${show(t.shape)}` : 'nothing')
  for (const [i, y] of node.outputs.entries()) {
    const part = parts[i]
    if (part?.dtype !== y.dtype || !sameShape(part.shape, y.shape))
      throw new UserError(
        `${nameOf(node)}: its decompose returns ${typeOf(part)} for output ${i}, which is ${typeOf(y)}`,
      )
  }
}

const nameOf = ({ op: { type, domain } }: Node): string => (domain ? `${domain}.${type}` : type)
const dtypeOf = ({ inputs: [x] }: Node): DType | undefined => x?.dtype

/**
 * Replaces what a target has no kernel for by elementary ops that every target has.
 * @throws UserError when such an op has no decomposition
 */
export function decompose(graph: Graph, target: Pick<Target, 'name' | 'lacks' | 'contrib'>): Graph {
  const lacks = (node: Node): boolean => {
    const dtype = dtypeOf(node)
    if (isForeign(node, target.contrib)) return true
    if (!dtype) return false
    return (
      target.lacks(node.op.type, dtype, node.attrs) ||
      node.op.lacks?.({ device: target.name, dtype, attrs: node.attrs }) === true
    )
  }
  return replaceAll(graph, lacks, node =>
    isForeign(node, target.contrib)
      ? `does not run on ${target.name}; give the op decompose`
      : `of ${dtypeOf(node)} does not run on this target; compute it in another dtype`,
  )
}

/**
 * What came after the opset is written in older operators, in a form that runtimes know, and so is what runtimes do not
 * know at all.
 * @param contrib whether the runtimes are onnxruntime, which has operators of its own
 * @throws UserError when an op that no runtime knows has no decomposition
 */
export const forOpset = (graph: Graph, opset: number, contrib: boolean): Graph =>
  replaceAll(
    graph,
    node => isForeign(node, contrib) || (sinceOf(node) > opset && node.op.decompose !== undefined),
    () => 'is not an operator of ONNX; to export it, give the op decompose',
  )
