import { type Graph, isLeaf, nodesOf, rewrite, usersOf } from '../graph/graph.ts'
import { filledWith, Input, SizeOf } from '../graph/leaf.ts'
import { match } from '../graph/match.ts'
import { makeNode, type Node } from '../graph/node.ts'
import { nth, zip } from '../graph/present.ts'
import { type Dim, product, type Shape, UNKNOWN } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { reshape } from '../ops/layout.ts'
import { type Add, Mul, Reshape } from '../ops/primitives.ts'

export { match, onlyOutput } from '../graph/match.ts'

/** Items in another order: item i of the result is item `order[i]`. */
export const permuted = <T>(items: readonly T[], order: readonly number[]): T[] =>
  order.map(i => nth(items, i))

/** Size of a dim; a symbol counts as a usual batch. */
const typical = (dim: Dim): number => {
  if (typeof dim === 'number') return dim < 0 ? 64 : dim
  return dim.split('*').reduce((n, part) => n * (/^\d+$/.test(part) ? Number(part) : 64), 1)
}

/** Elements of a tensor, where a size that is not known counts as a usual batch. */
export const elements = (shape: Shape): number => shape.reduce<number>((n, d) => n * typical(d), 1)

/** Nodes whose values are the same for all inputs: what is made of parameters and constants only. */
export function staticNodes(nodes: readonly Node[]): Set<Node> {
  const fixed = new Set<Node>()
  for (const node of nodes)
    if (node.op !== Input && node.op !== SizeOf && node.inputs.every(t => fixed.has(t.node))) fixed.add(node)
  return fixed
}

/** How many nodes (and outputs of the graph) read a tensor; 1 for one that a rule has just made. */
export type Readers = (t: Tensor) => number

/**
 * {@link rewrite} for rules that must know whether others read a tensor.
 * @param rule new outputs for a node whose inputs are already rewritten, or nothing
 */
export function rewriteCounting(
  graph: Graph,
  rule: (node: Node, readers: Readers) => readonly Tensor[] | undefined,
): Graph {
  const users = usersOf(nodesOf(graph))
  const results = new Set(Object.values(graph.outputs))
  const counts = new Map<Tensor, number>()
  const readers: Readers = t => counts.get(t) ?? 1
  return rewrite(graph, (node, inputs) => {
    const next = isLeaf(node) ? node : makeNode(node.op, inputs, node.attrs)
    const outputs = (isLeaf(node) ? undefined : rule(next, readers)) ?? next.outputs
    for (const [t, next] of zip(node.outputs, outputs)) {
      const count = (users.get(t)?.length ?? 0) + (results.has(t) ? 1 : 0)
      counts.set(next, (counts.get(next) ?? 0) + count)
    }
    return outputs
  })
}

/** The value of a constant without axes. */
export const scalar = (t: Tensor): number | undefined => (t.shape.length === 0 ? filledWith(t) : undefined)

/** Both orders of the operands of a node of `op`, which commutes; none for another node. */
export const pairs = (node: Node, op: typeof Add): [AnyTensor, AnyTensor][] => {
  const [a, b] = match(node, op)?.inputs ?? []
  return a && b
    ? [
        [a, b],
        [b, a],
      ]
    : []
}

/** t as x · c with a number c, also below reshapes; c is 1 where there is none. */
export function numberOff(t: AnyTensor): { x: AnyTensor; c: number } {
  for (const [x, b] of pairs(t.node, Mul)) {
    const c = scalar(b)
    if (c === undefined) continue
    const inner = numberOff(x)
    return { x: inner.x, c: inner.c * c }
  }
  const view = match(t.node, Reshape)?.inputs[0]
  const inner = view && numberOff(view)
  return inner && inner.c !== 1 ? { x: reshape(inner.x, t.shape), c: inner.c } : { x: t, c: 1 }
}

/** Runs of dims that a reshape exchanges for each other, as half-open ranges of axes: [2,3,4] → [6,4] is 2,3 ⇄ 6 and 4 ⇄ 4. */
export function groups(from: Shape, to: Shape): { from: [number, number]; to: [number, number] }[] {
  const found: { from: [number, number]; to: [number, number] }[] = []
  if (from.includes(UNKNOWN) || to.includes(UNKNOWN)) return found
  let [i, j] = [0, 0]
  const next = (): [number, number] | undefined => {
    for (let total = 1; total <= from.length - i + to.length - j; total++)
      for (let a = 0; a <= total; a++) {
        const [ni, nj] = [i + a, j + total - a]
        if (ni <= from.length && nj <= to.length && product(from.slice(i, ni)) === product(to.slice(j, nj)))
          return [ni, nj]
      }
    return undefined
  }
  for (let cut = next(); cut; cut = next()) {
    found.push({ from: [i, cut[0]], to: [j, cut[1]] })
    ;[i, j] = cut
  }
  return i === from.length && j === to.length ? found : []
}
