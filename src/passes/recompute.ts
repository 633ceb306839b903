import { type Graph, isLeaf, rewrite } from '../graph/graph.ts'
import { bytesOf, type Memory, memoryOf, ownerOf } from '../graph/memory.ts'
import { makeNode, type Node } from '../graph/node.ts'
import { elementwise } from '../graph/op.ts'
import { lookup, nth, zip } from '../graph/present.ts'
import { withScope } from '../graph/scope.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { reshape } from '../ops/layout.ts'
import { type Edge, minCut } from './min-cut.ts'

/** A byte that is computed again must save this many: a random mask takes about twenty operations. */
const WORTH = 1 / 32

/** Less than this share of the peak is not worth any work. */
const LEAST = 0.01

/**
 * Computes elementwise results again where they are read after the peak of memory, instead of keeping them over it. Which
 * ones is a minimum cut: of the tensors between what must be kept (results of matrix products and the like) and what is
 * read later, those with the fewest bytes (as PyTorch's AOTAutograd chooses what a forward pass saves). Repeated for the
 * next peak as long as peaks fall. The values are the same: the same operations on the same numbers.
 */
export function recompute(graph: Graph): Graph {
  const before = memoryOf(graph)
  let best = { graph, memory: before }
  for (;;) {
    const next = dropOver(best.graph, best.memory)
    const memory = memoryOf(next)
    if (memory.peak >= best.memory.peak) break
    best = { graph: next, memory }
  }
  return best.memory.peak <= (1 - LEAST) * before.peak ? best.graph : graph
}

/** The graph with copies of what need not be kept over its peak, for those who read it later. */
function dropOver(graph: Graph, { order, at }: Memory): Graph {
  const later = new Set(order.slice(at + 1))
  const dropped = droppable(graph, order.slice(0, at + 1), later)
  const copies = new Map<Tensor, AnyTensor>()
  const readLate = (t: Tensor): AnyTensor => {
    const owner = ownerOf(t)
    if (!dropped.has(owner)) return t
    const copy = copies.get(owner) ?? withScope(owner.node.scope, () => again(owner, readLate))
    copies.set(owner, copy)
    return reshape(copy, t.shape)
  }
  return rewrite(graph, (node, inputs) => {
    if (!later.has(node)) return undefined
    const late = zip(inputs, node.inputs).map(([t, before]) =>
      dropped.has(ownerOf(before)) ? readLate(before) : t,
    )
    return makeNode(node.op, late, node.attrs).outputs
  })
}

/** An elementwise result, computed once more. */
function again(t: Tensor, read: (t: Tensor) => AnyTensor): AnyTensor {
  const { op, inputs, attrs } = t.node
  const operands = inputs.map(read)
  if (operands.every((x, i) => x === inputs[i])) {
    // The smallest operand gets an axis of 1 in front, which changes no value: equal nodes would be made one, here and by
    // onnxruntime.
    const sizes = operands.map(bytesOf)
    const least = sizes.indexOf(Math.min(...sizes))
    const smallest: AnyTensor = nth(operands, least)
    operands[least] = reshape(smallest, [1, ...smallest.shape])
  }
  const copy: AnyTensor = nth(makeNode(op, operands, attrs).outputs, t.index)
  return reshape(copy, t.shape)
}

const FREELY = Number.POSITIVE_INFINITY

/** What nodes before a moment make and others read after it, but for what is best kept until then. */
function droppable(graph: Graph, earlier: readonly Node[], later: ReadonlySet<Node>): Set<Tensor> {
  const results = new Set(Object.values(graph.outputs))
  const read = new Set([...later].flatMap(node => node.inputs.map(ownerOf)))
  const made = earlier.flatMap(node => node.outputs).filter(t => ownerOf(t) === t)
  // A tensor is two places: it has been computed, and it is there later. Between them lies what keeping it costs.
  const there = new Map(made.map(t => [t, Symbol()]))
  const edges: Edge<Tensor | symbol>[] = []
  const [SOURCE, SINK] = [Symbol(), Symbol()]
  for (const t of made) {
    const cheap = t.node.op.along === elementwise
    edges.push({ from: SOURCE, to: t, capacity: cheap ? WORTH * bytesOf(t) : FREELY })
    const later = lookup(there, t)
    edges.push({ from: t, to: later, capacity: results.has(t) ? 0 : bytesOf(t) })
    if (read.has(t)) edges.push({ from: later, to: SINK, capacity: FREELY })
    if (!cheap) continue
    for (const x of new Set(t.node.inputs.map(ownerOf)))
      if (!isLeaf(x.node)) edges.push({ from: lookup(there, x), to: t, capacity: FREELY })
  }
  const kept = minCut(edges, SOURCE, SINK)
  return new Set(made.filter(t => !kept.has(t)))
}
