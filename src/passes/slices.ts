import { type Graph, nodesOf, rewrite, sameTensors, usersOf } from '../graph/graph.ts'
import { makeNode, type Node } from '../graph/node.ts'
import { withScope } from '../graph/scope.ts'
import { type Dim, product, type Shape, sliceRange } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { concat, expand, reshape, slice, split } from '../ops/layout.ts'
import { Concat, Expand, Reshape, Slice, Transpose } from '../ops/primitives.ts'
import { groups, match, staticNodes } from './match.ts'

/** `length` elements from `start` of one axis. */
interface Part {
  readonly axis: number
  readonly start: number
  readonly length: number
}

/** What a Slice node takes, when that is one run of neighbours of one axis whose size is known. */
function partOf(node: Node): Part | undefined {
  const found = match(node, Slice)
  if (!found) return undefined
  const { axes, starts, ends, steps } = found.attrs
  const [axis, ...others] = axes
  const [[start], [end], [step]] = [starts, ends, steps]
  if (axis === undefined || start === undefined || end === undefined || others.length || step !== 1)
    return undefined
  const size = found.inputs[0].shape[axis]
  if (typeof size !== 'number' || size < 1) return undefined
  const range = sliceRange(size, start, end, 1)
  return range.length ? { axis, ...range } : undefined
}

/** A slice of one tensor. @param inputs of the node, which may be rewritten already */
const sliceOf = (node: Node, inputs: readonly Tensor[] = node.inputs) => {
  const part = partOf(node)
  const x: AnyTensor | undefined = inputs[0]
  const source = node.inputs[0]
  return part && x && source ? { part, x, source } : undefined
}

const take = (x: AnyTensor, { axis, start, length }: Part): AnyTensor =>
  start === 0 && length === x.shape[axis] ? x : slice(x, axis, start, start + length)

/**
 * Computes only what is read: a slice of a result becomes the same op on slices, as far up as it goes. A class token
 * that alone is read leaves one row of the last block; the three parts of a joint projection become three projections.
 * A node is cut only when all its readers are slices and together take no more than the whole.
 */
export function pushSlices(graph: Graph): Graph {
  for (;;) {
    const next = pushOnce(graph)
    if (sameTensors(graph.outputs, next.outputs)) return graph
    graph = next
  }
}

function pushOnce(graph: Graph): Graph {
  const nodes = nodesOf(graph)
  const users = usersOf(nodes)
  const results = new Set(Object.values(graph.outputs))
  const fixed = staticNodes(nodes)
  const cuttable = (node: Node): boolean => {
    const { outputs } = node
    // What is computed of parameters alone is small, and quicker in one piece.
    if (fixed.has(node) && !match(node, Transpose) && !match(node, Reshape)) return false
    let share = 0
    for (const t of outputs) {
      if (results.has(t)) return false
      for (const user of users.get(t) ?? []) {
        const part = partOf(user)
        if (!part || !sliced(t.node, t.index, part)) return false
        share += part.length / Number(t.shape[part.axis])
      }
    }
    return share <= 1 + 1e-9
  }
  return rewrite(graph, (node, inputs) => {
    const cut = sliceOf(node, inputs)
    if (!cut) return undefined
    const { part, x, source } = cut
    if (part.length === x.shape[part.axis]) return [x]
    if (!cuttable(source.node)) return undefined
    const y = sliced(x.node, x.index, part)
    return y && [y]
  })
}

/** A part of an output of `node`, by the same op on parts of its inputs, in the layer of the node. */
const sliced = (node: Node, index: number, part: Part): AnyTensor | undefined =>
  // Also where it is only tried: equal nodes are one node, in the layer that made it first.
  withScope(node.scope, () => slicedNode(node, index, part))

function slicedNode(node: Node, index: number, part: Part): AnyTensor | undefined {
  const { axis, length } = part
  const reshaping = match(node, Reshape)
  if (reshaping) return slicedReshape(reshaping.inputs[0], reshaping.attrs.shape, part)
  const expansion = match(node, Expand)
  if (expansion) {
    const [x] = expansion.inputs
    const i = axis - expansion.attrs.shape.length + x.shape.length
    const source = i < 0 || x.shape[i] === 1 ? x : take(x, { ...part, axis: i })
    return expand(source, expansion.attrs.shape.with(axis, length))
  }
  const joined = match(node, Concat)
  if (joined) return slicedConcat(joined.inputs, joined.attrs.axis, part)
  const along = node.op.along?.(axis, node.inputs, node.attrs)
  if (!along) return undefined
  const inputs = node.inputs.map((t, i) => {
    const at = along[i]
    return typeof at === 'number' ? take(t, { ...part, axis: at }) : t
  })
  return makeNode(node.op, inputs, node.attrs).outputs[index]
}

function slicedConcat(
  inputs: readonly [AnyTensor, ...AnyTensor[]],
  along: number,
  part: Part,
): AnyTensor | undefined {
  const { axis, start, length } = part
  const at = along < 0 ? along + inputs[0].shape.length : along
  if (at !== axis)
    return concat(
      inputs.map(t => take(t, part)),
      at,
    )
  let offset = 0
  const pieces: AnyTensor[] = []
  for (const t of inputs) {
    const size = t.shape[axis]
    if (typeof size !== 'number' || size < 0) return undefined
    const from = Math.max(start - offset, 0)
    const to = Math.min(start + length - offset, size)
    if (from < to) pieces.push(take(t, { axis, start: from, length: to - from }))
    offset += size
  }
  return pieces.length ? concat(pieces, axis) : undefined
}

/** A range of the outermost axis of a group is a range of the group's elements, so it can be taken before the reshape. */
function slicedReshape(x: AnyTensor, shape: Shape, { axis, start, length }: Part): AnyTensor | undefined {
  const group = groups(x.shape, shape).find(g => g.to[0] <= axis && axis < g.to[1])
  if (!group) return undefined
  const outer = (dims: Shape, [first, end]: [number, number]) => {
    let i = first
    while (i < end - 1 && dims[i] === 1) i++
    return i
  }
  const inner = (dims: Shape, at: number, end: number): Dim => product(dims.slice(at + 1, end))
  const [to, from] = [outer(shape, group.to), outer(x.shape, group.from)]
  const below = inner(shape, to, group.to[1])
  const stride = inner(x.shape, from, group.from[1])
  if (to !== axis || from >= group.from[1]) return undefined
  const scale = below === stride ? 1 : Number(below) / Number(stride)
  if (!Number.isInteger(start * scale) || !Number.isInteger(length * scale)) return undefined
  const part = { axis: from, start: start * scale, length: length * scale }
  return reshape(take(x, part), shape.with(axis, length))
}

/** Slices that cut a tensor into pieces without gap or overlap become one split, whose gradient is one concatenation. */
export function joinSlices(graph: Graph): Graph {
  const cuts = new Map<Tensor, Map<number, Part[]>>()
  for (const node of nodesOf(graph)) {
    const cut = sliceOf(node)
    if (!cut) continue
    const { part, source } = cut
    const axes = cuts.get(source) ?? new Map<number, Part[]>()
    axes.set(part.axis, [...(axes.get(part.axis) ?? []), part])
    cuts.set(source, axes)
  }
  const covers = (parts: readonly Part[], size: Dim | undefined): boolean => {
    let end = 0
    for (const p of parts) {
      if (p.start !== end) return false
      end += p.length
    }
    return end === size
  }
  for (const [t, axes] of cuts)
    for (const [axis, parts] of axes) {
      parts.sort((a, b) => a.start - b.start)
      if (parts.length < 2 || !covers(parts, t.shape[axis])) axes.delete(axis)
    }
  return rewrite(graph, (node, inputs) => {
    const cut = sliceOf(node, inputs)
    const parts = cut && cuts.get(cut.source)?.get(cut.part.axis)
    if (!parts) return undefined
    const { x, part } = cut
    const pieces: readonly AnyTensor[] = split(
      x,
      part.axis,
      parts.map(p => p.length),
    )
    const piece = pieces[parts.findIndex(p => p.start === part.start)]
    return piece && [piece]
  })
}
