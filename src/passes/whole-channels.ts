import type { Graph } from '../graph/graph.ts'
import { makeNode, type Node } from '../graph/node.ts'
import { withScope } from '../graph/scope.ts'
import type { Dim } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { pad } from '../ops/layout.ts'
import { Conv, DequantizeLinear, MaxPool, Relu } from '../ops/primitives.ts'
import { match, onlyOutput, type Readers, rewriteCounting } from './match.ts'

/** Channels that onnxruntime's WebGPU kernel takes at a time. */
const AT_A_TIME = 4

/**
 * How many channels of zeros make a convolution right on WebGPU. Where the channels can be divided by 3 and not by 4, and the filters by 4,
 * onnxruntime 1.30 takes 3 channels at a time, and all but the first 3 are wrong (onnxruntime#29651).
 */
function missing(channels: Dim | undefined, filters: Dim | undefined): number {
  if (typeof channels !== 'number' || typeof filters !== 'number') return 0
  const threes = channels > 3 && channels % 3 === 0 && channels % AT_A_TIME !== 0
  return threes && filters % AT_A_TIME === 0 ? AT_A_TIME - (channels % AT_A_TIME) : 0
}

/** Zeros at the end of one axis. */
function longer(t: AnyTensor, axis: number, more: number): AnyTensor {
  const rank = t.shape.length
  const after = Array.from({ length: rank }, (_, i) => (i === axis ? more : 0))
  return pad(t, new Array<number>(rank).fill(0), after)
}

/** A map with channels of zeros behind its own: what computes it gets filters of zeros, where nothing else reads its result. */
function widened(x: AnyTensor, more: number, readers: Readers): AnyTensor {
  const { node } = x
  const own = readers(x) === 1 ? withScope(node.scope, () => again(node, more, readers)) : undefined
  return own ?? longer(x, 1, more)
}

/** The result of a node with more channels, if it can compute them. */
function again(node: Node, more: number, readers: Readers): AnyTensor | undefined {
  const kept = match(node, Relu) ?? (node.outputs.length === 1 ? match(node, MaxPool) : undefined)
  if (kept) return onlyOutput(makeNode(node.op, [widened(kept.inputs[0], more, readers)], node.attrs))
  const conv = match(node, Conv)
  if (!conv || !isPlain(conv)) return undefined
  const [x, w, b] = conv.inputs
  return convolved([x, longer(w, 0, more), b && longer(b, 0, more)], conv.attrs, readers)
}

type Convolution = NonNullable<ReturnType<typeof asConv>>
const asConv = (node: Node) => match(node, Conv)

/** A convolution without groups, of real numbers: integer kernels are not concerned, and must find their pattern. */
const isPlain = ({ inputs: [x, w], attrs }: Convolution): boolean =>
  attrs.group === 1 && !match(x.node, DequantizeLinear) && !match(w.node, DequantizeLinear)

function convolved(
  [x, w, b]: readonly [AnyTensor, AnyTensor, AnyTensor?],
  attrs: Convolution['attrs'],
  readers: Readers,
): AnyTensor {
  const more = missing(x.shape[1], w.shape[0])
  const [image, filters] = more ? [widened(x, more, readers), longer(w, 1, more)] : [x, w]
  return Conv.apply(b ? [image, filters, b] : [image, filters], attrs)
}

/** Convolutions whose channels WebGPU computes right; others get channels of zeros. */
export const wholeChannels = (graph: Graph): Graph =>
  rewriteCounting(graph, (node, readers) => {
    const conv = match(node, Conv)
    if (!conv || !isPlain(conv) || !missing(conv.inputs[0].shape[1], conv.inputs[1].shape[0]))
      return undefined
    return [convolved(conv.inputs, conv.attrs, readers)]
  })
