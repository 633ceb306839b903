import { type Graph, nodesOf, rewriteTensors, usersOf } from '../graph/graph.ts'
import { makeNode, type Node } from '../graph/node.ts'
import { elementwise } from '../graph/op.ts'
import { nth, zip } from '../graph/present.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { readOrder } from '../ops/fused-matmul.ts'
import { reshape } from '../ops/layout.ts'
import { Concat, Expand, MatMul, Reshape, Slice, Split, Transpose } from '../ops/primitives.ts'
import { elements, match, onlyOutput } from './match.ts'
import { simplifyViews, transposed } from './views.ts'

/** Items with the first two exchanged; there are at least two. */
const exchange = <T>(items: readonly T[]): T[] => [nth(items, 1), nth(items, 0), ...items.slice(2)]
const exchangeAxis = (axis: number): number => (axis === 0 ? 1 : axis === 1 ? 0 : axis)
const exchanged = (x: AnyTensor): AnyTensor => transposed(x, exchange([...x.shape.keys()]))

/** How a node computes its outputs with their first two axes exchanged. */
interface Exchange {
  /** Inputs that it then reads with theirs exchanged. */
  readonly carried: readonly boolean[]
  readonly build: (inputs: readonly Tensor[]) => readonly Tensor[]
}

const remade =
  ({ op, attrs }: Node, changes: Node['attrs'] = {}) =>
  (inputs: readonly Tensor[]) =>
    makeNode(op, inputs, { ...attrs, ...changes }).outputs

function exchangeOf(node: Node): Exchange | undefined {
  const [x] = node.inputs
  if (!x || node.outputs.some(t => t.shape.length < 2)) return undefined
  const all = node.inputs.map(() => true)
  const reshaping = match(node, Reshape)
  const shape = (reshaping ?? match(node, Expand))?.attrs.shape
  if (shape) {
    const kept = reshaping
      ? x.shape[0] === shape[0] && x.shape[1] === shape[1]
      : x.shape.length === shape.length
    return kept ? { carried: all, build: remade(node, { shape: exchange(shape) }) } : undefined
  }
  const turning = match(node, Transpose)
  if (turning) {
    const [first, second] = turning.attrs.perm
    return first === 0 && second === 1 ? { carried: all, build: remade(node) } : undefined
  }
  const parts = match(node, Concat) ?? match(node, Split)
  if (parts) {
    const { axis } = parts.attrs
    const at = axis < 0 ? axis + x.shape.length : axis
    return { carried: all, build: remade(node, { axis: exchangeAxis(at) }) }
  }
  const cut = match(node, Slice)
  if (cut) return { carried: all, build: remade(node, { axes: cut.attrs.axes.map(exchangeAxis) }) }

  const [first, second] = [0, 1].map(axis => node.op.along?.(axis, node.inputs, node.attrs))
  if (!first || !second) return undefined
  const rank = onlyOutput(node).shape.length
  const carried: boolean[] = []
  const short: boolean[] = []
  for (const [i, t] of node.inputs.entries()) {
    const [a, b] = [first[i], second[i]]
    const whole = a === null && b === null
    const both = a === 0 && b === 1
    // A broadcast operand has size 1 where the others run, or lacks the axis: [T, d] beside [B, T, d] is [T, 1, d].
    const broadcast = node.op.along === elementwise
    const thin = broadcast && !whole && t.shape.length === rank
    short.push(broadcast && !whole && t.shape.length === rank - 1)
    carried.push(both || thin)
    if (!whole && !carried[i] && !short[i]) return undefined
  }
  const build = (inputs: readonly Tensor[]) =>
    remade(node)(inputs.map((t, i) => (short[i] ? reshape(t, t.shape.toSpliced(1, 0, 1)) : t)))
  return { carried, build }
}

const READS = [
  [true, false],
  [false, true],
  [true, true],
] as const

/** Axis orders in which a batched product can read an operand directly. */
const readable = (perm: readonly number[]): boolean =>
  READS.some(([trans, batch]) => readOrder(perm.length, trans, batch).every((p, i) => p === perm[i]))

/** Elements that transpositions move, but for those that products read in place. */
function moved(graph: Graph): number {
  const nodes = nodesOf(graph)
  const users = usersOf(nodes)
  let total = 0
  for (const node of nodes) {
    const turning = match(node, Transpose)
    if (!turning) continue
    const [y] = turning.outputs
    const inPlace = (users.get(y) ?? []).every(user => match(user, MatMul)) && readable(turning.attrs.perm)
    if (!inPlace) total += elements(y.shape)
  }
  return total
}

/** Tensors from which a transposition leads into a batched product that could read them with two axes exchanged. */
const anchors = (nodes: readonly Node[]): Tensor[] =>
  nodes.flatMap(node => {
    if (!match(node, MatMul)) return []
    return node.inputs.flatMap(t => {
      const turning = match(t.node, Transpose)
      const perm = turning?.attrs.perm
      return perm && perm.length > 2 && !readable(perm) && readable(perm.map(exchangeAxis))
        ? turning.inputs
        : []
    })
  })

/**
 * Stores `[B, T, …]` as `[T, B, …]` where attention can then read its heads in place: FusedMatMul takes `[T, B, H, d]`
 * as `[B, H, T, d]` but not `[B, T, H, d]`. All tensors that are connected by ops which treat both axes alike change
 * together, and only if less is transposed afterwards.
 */
export function timeMajor(graph: Graph): Graph {
  const nodes = nodesOf(graph)
  const exchanges = new Map<Node, Exchange>()
  const links = new Map<Tensor, Tensor[]>()
  const link = (a: Tensor, b: Tensor) => links.set(a, [...(links.get(a) ?? []), b])
  for (const node of nodes) {
    const found = exchangeOf(node)
    if (!found) continue
    exchanges.set(node, found)
    const together = [...node.outputs, ...node.inputs.filter((_, i) => found.carried[i])]
    const [first, ...others] = together
    if (!first) continue
    for (const t of others) {
      link(first, t)
      link(t, first)
    }
  }
  const region = new Set<Tensor>(anchors(nodes))
  for (const t of region) for (const next of links.get(t) ?? []) region.add(next)

  const back = (made: Tensor, original: Tensor): Tensor => (region.has(original) ? exchanged(made) : made)
  const rule = (node: Node, inputs: readonly Tensor[]): readonly Tensor[] => {
    const found = exchanges.get(node)
    if (found && region.has(onlyOutput(node)))
      return found.build(
        zip(inputs, node.inputs).map(([t, before], i) => (found.carried[i] ? t : back(t, before))),
      )
    const plain = zip(inputs, node.inputs).map(([t, before]) => back(t, before))
    const same = plain.every((t, i) => t === node.inputs[i])
    const outputs = same ? node.outputs : makeNode(node.op, plain, node.attrs).outputs
    return zip(outputs, node.outputs).map(([t, before]) => back(t, before))
  }
  const roots = Object.values(graph.outputs)
  const made = zip(rewriteTensors(roots, rule), roots).map(([t, before]) => back(t, before))
  const next = simplifyViews({
    ...graph,
    outputs: Object.fromEntries(zip(Object.keys(graph.outputs), made)),
  })
  return moved(next) < moved(graph) ? next : graph
}
