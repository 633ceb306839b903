import { BYTES } from './dtype.ts'
import { type Graph, isLeaf, nodesOf } from './graph.ts'
import type { Node } from './node.ts'
import { lookup, nth } from './present.ts'
import type { Tensor } from './tensor.ts'

/** Bytes of a tensor; an unknown size counts as 1. */
export const bytesOf = ({ dtype, shape }: Tensor): number =>
  shape.reduce<number>((n, d) => n * (typeof d === 'number' && d >= 0 ? d : 1), BYTES[dtype])

/** Inputs are copied, not viewed. */
const isView = ({ op }: Node, source: Tensor): boolean => op.view === true && !isLeaf(source.node)

/** The tensor whose memory a tensor lies in: itself, or what it is a view of. */
export function ownerOf(t: Tensor): Tensor {
  const [source] = t.node.inputs
  return source && isView(t.node, source) ? ownerOf(source) : t
}

/**
 * The nodes of a graph, leaves left out, in the order in which onnxruntime runs them: depth first from the results, the
 * one written last first, and of a node's inputs the one written last first (`Graph::ReverseDFSFrom`).
 */
export function executionOrder(graph: Graph): Node[] {
  const nodes = nodesOf(graph).filter(node => !isLeaf(node))
  const place = new Map(nodes.map((node, i) => [node, i]))
  const read = new Set(nodes.flatMap(node => node.inputs.map(t => t.node)))
  const order: Node[] = []
  const seen = new Set<Node>()
  const stack = nodes.filter(node => !read.has(node)).map(node => ({ node, done: false }))
  for (let top = stack.pop(); top; top = stack.pop()) {
    const { node, done } = top
    if (done) order.push(node)
    else if (!seen.has(node)) {
      seen.add(node)
      stack.push({ node, done: true })
      const sources = node.inputs.map(t => t.node).filter(source => place.has(source) && !seen.has(source))
      sources.sort((a, b) => lookup(place, a) - lookup(place, b))
      for (const source of sources) stack.push({ node: source, done: false })
    }
  }
  return order
}

/** What a run of a graph holds at once, beside its inputs, constants and outputs. */
export interface Memory {
  /** Nodes as they run, and the place of the one at which most is held. */
  readonly order: readonly Node[]
  readonly at: number
  /** Bytes that are held then. */
  readonly peak: number
  /** Bytes of the tensors that are in use then; the rest of the peak waits to be used again. */
  readonly live: ReadonlyMap<Tensor, number>
}

/** A piece of memory and the tensors that lie in it, one after the other. */
interface Buffer {
  readonly kind: string
  readonly bytes: number
  readonly tenants: { readonly tensor: Tensor; readonly from: number; to: number }[]
  /** Remaining reads of its current tensor. */
  reads: number
}

/**
 * Plans the memory of a run as onnxruntime's CPU provider does (`AllocationPlanner`): a tensor takes over the memory of the
 * last one of its very shape that nobody reads any more, which is kept for it in between; else it gets memory of its
 * own; a view gets none. What kernels need inside and the gaps of the allocator are not seen: with each image more in a
 * batch a process was measured to grow by 1.00 to 1.12 times what is planned (the presets of ViT, 2 to 512 images).
 */
export function memoryOf(graph: Graph): Memory {
  const order = executionOrder(graph)
  const given = new Set(Object.values(graph.outputs))
  const reads = new Map<Tensor, number>()
  for (const t of order.flatMap(node => node.inputs)) reads.set(t, (reads.get(t) ?? 0) + 1)

  const buffers: Buffer[] = []
  const free: Buffer[] = []
  const holders = new Map<Tensor, Buffer>()
  const place = (tensor: Tensor, from: number) => {
    const kind = `${BYTES[tensor.dtype]}[${tensor.shape.join()}]`
    const known = tensor.shape.length ? free.findIndex(buffer => buffer.kind === kind) : -1
    const [taken] = known < 0 ? [] : free.splice(known, 1)
    const buffer = taken ?? { kind, bytes: bytesOf(tensor), tenants: [], reads: 0 }
    if (!taken) buffers.push(buffer)
    buffer.tenants.push({ tensor, from, to: from })
    return buffer
  }
  for (const [at, { inputs, outputs }] of order.entries()) {
    const made: Buffer[] = []
    for (const t of outputs) {
      if (given.has(t)) continue
      const owner = ownerOf(t)
      const buffer = owner === t ? place(t, at) : holders.get(owner)
      if (!buffer) continue
      holders.set(t, buffer)
      buffer.reads += reads.get(t) ?? 0
      made.push(buffer)
    }
    const read = inputs.flatMap(t => holders.get(t) ?? [])
    for (const buffer of read) buffer.reads--
    for (const buffer of new Set([...read, ...made])) {
      nth(buffer.tenants, -1).to = at
      if (!buffer.reads) free.unshift(buffer)
    }
  }
  return { order, ...atPeak(buffers, order.length) }
}

function atPeak(buffers: readonly Buffer[], steps: number): Omit<Memory, 'order'> {
  const changes = new Float64Array(steps + 1)
  for (const { bytes, tenants } of buffers) {
    const [from, end] = [nth(tenants, 0).from, nth(tenants, -1).to + 1]
    changes[from] = nth(changes, from) + bytes
    changes[end] = nth(changes, end) - bytes
  }
  let [now, peak, at] = [0, 0, 0]
  for (const [i, change] of changes.subarray(0, steps).entries()) {
    now += change
    if (now > peak) [peak, at] = [now, i]
  }
  const tenants = buffers.flatMap(buffer => buffer.tenants)
  const present = tenants.filter(({ from, to }) => from <= at && at <= to)
  return { peak, at, live: new Map(present.map(({ tensor }) => [tensor, bytesOf(tensor)])) }
}
