import { type Graph, rewrite } from '../graph/graph.ts'
import { makeNode, type Node } from '../graph/node.ts'
import { withScope } from '../graph/scope.ts'
import type { Dim } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { pad, slice } from '../ops/layout.ts'
import { onlyOutput, type Readers, rewriteCounting } from './match.ts'

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
  const [x, w, b] = node.inputs
  const keeps = isA(node, 'Relu') || (isA(node, 'MaxPool') && node.outputs.length === 1)
  if (x && keeps) return onlyOutput(makeNode(node.op, [widened(x, more, readers)], node.attrs))
  if (!x || !w || !isPlain(node)) return undefined
  return convolved(node, [x, longer(w, 0, more), ...(b ? [longer(b, 0, more)] : [])], readers)
}

// By name: a page whose model has no convolution does not load that op.
const isA = ({ op: { type, domain } }: Node, name: string): boolean => type === name && !domain

/** A convolution without groups, of real numbers: integer kernels are not concerned, and must find their pattern. */
const isPlain = (node: Node): boolean =>
  isA(node, 'Conv') && node.attrs.group === 1 && !node.inputs.some(t => isA(t.node, 'DequantizeLinear'))

/** The convolution of other inputs. */
function convolved(node: Node, [x, w, ...bias]: readonly Tensor[], readers: Readers): AnyTensor | undefined {
  if (!x || !w) return undefined
  const more = missing(x.shape[1], w.shape[0])
  const operands = more ? [widened(x, more, readers), longer(w, 1, more)] : [x, w]
  return onlyOutput(makeNode(node.op, [...operands, ...bias], node.attrs))
}

/** Convolutions whose channels WebGPU computes right; others get channels of zeros. */
export const wholeChannels = (graph: Graph): Graph =>
  rewriteCounting(graph, (node, readers) => {
    const [x, w] = node.inputs
    if (!x || !w || !isPlain(node) || !missing(x.shape[1], w.shape[0])) return undefined
    const y = convolved(node, node.inputs, readers)
    return y && [y]
  })

/** What a pad adds zeros behind along one axis alone, and how many of them. */
function longerThan(t: Tensor, axis: number): { readonly of: AnyTensor; readonly more: number } | undefined {
  const [of] = t.node.inputs
  const { pads, value, mode } = t.node.attrs
  if (!of || !isA(t.node, 'Pad') || !Array.isArray(pads) || value !== 0 || mode !== undefined)
    return undefined
  const rank = t.shape.length
  const more = Number(pads[rank + axis])
  const alone = pads.every((p, i) => i === rank + axis || p === 0)
  return alone && more > 0 ? { of, more } : undefined
}

/** A map without its last channels, which are zeros. */
function narrower(x: AnyTensor, more: number): AnyTensor {
  const { node } = x
  return withScope(node.scope, () => without(node, more)) ?? slice(x, 1, 0, Number(x.shape[1]) - more)
}

function without(node: Node, more: number): AnyTensor | undefined {
  const [x, w, b] = node.inputs
  const padded = longerThan(onlyOutput(node), 1)
  if (padded?.more === more) return padded.of
  const keeps = isA(node, 'Relu') || (isA(node, 'MaxPool') && node.outputs.length === 1)
  if (x && keeps) return onlyOutput(makeNode(node.op, [narrower(x, more)], node.attrs))
  const [filters, bias] = [w && longerThan(w, 0), b && longerThan(b, 0)]
  if (!x || !isPlain(node) || filters?.more !== more || (b && bias?.more !== more)) return undefined
  return onlyOutput(makeNode(node.op, [x, filters.of, ...(bias ? [bias.of] : [])], node.attrs))
}

/** Undoes {@link wholeChannels} in a file that was read: its convolutions have their own weights again, which can be trained. */
export const ownChannels = (graph: Graph): Graph =>
  rewrite(graph, (node, inputs) => {
    const [x, w, ...bias] = inputs
    const padded = x && w && isA(node, 'Conv') ? longerThan(w, 1) : undefined
    return x && padded
      ? makeNode(node.op, [narrower(x, padded.more), padded.of, ...bias], node.attrs).outputs
      : undefined
  })
