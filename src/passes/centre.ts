import type { Graph } from '../graph/graph.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { add, sub } from '../ops/elementwise.ts'
import { pad, reshape } from '../ops/layout.ts'
import { matmul } from '../ops/matmul.ts'
import { Add, MatMul, Pad, ReduceMean, Reshape, Sub } from '../ops/primitives.ts'
import { mean } from '../ops/reduce.ts'
import { elements, match, rewriteCounting } from './match.ts'

const centred = (x: AnyTensor): AnyTensor => sub(x, mean(x, -1, true))

/** x less its mean along the last axis, where it can be computed by centering smaller tensors that x is computed from. */
function pushed(x: AnyTensor, limit: number, alone: (t: AnyTensor) => boolean): AnyTensor | undefined {
  if (elements(x.shape) <= limit) return centred(x)
  if (!alone(x)) return undefined
  const product = match(x.node, MatMul)
  if (product) {
    const [a, b] = product.inputs
    return b.shape.length === 2 && elements(b.shape) < elements(x.shape) ? matmul(a, centred(b)) : undefined
  }
  const rowsOf = (t: AnyTensor) => (t.shape.at(-1) === x.shape.at(-1) ? pushed(t, limit, alone) : undefined)
  const total = match(x.node, Add)
  if (total) {
    const [a, b] = total.inputs.map(rowsOf)
    return a && b && add(a, b)
  }
  const padded = match(x.node, Pad)
  if (padded) {
    const { pads, value, mode } = padded.attrs
    const inner = value === 0 && !mode && rowsOf(padded.inputs[0])
    return inner ? pad(inner, pads.slice(0, pads.length / 2), pads.slice(pads.length / 2)) : undefined
  }
  const view = match(x.node, Reshape)
  const inner = view && rowsOf(view.inputs[0])
  return inner && reshape(inner, x.shape)
}

/**
 * A B less the mean of each row is A (B less the mean of each row of B): where a layer norm's backward pass centres
 * the gradient of a linear layer's input, the weight is centred instead.
 */
export const centreWeights = (graph: Graph): Graph =>
  rewriteCounting(graph, (node, readers) => {
    const [x, m] = match(node, Sub)?.inputs ?? []
    const average = m && match(m.node, ReduceMean)
    if (!x || !average || average.inputs[0] !== x || !average.attrs.keepdims) return undefined
    const { axes } = average.attrs
    if (axes.length !== 1 || axes[0] !== x.shape.length - 1) return undefined
    // The tensor itself is read twice here, what it is made of must not be read elsewhere.
    const y = pushed(x, elements(x.shape) / 8, t => readers(t) <= (t === x ? 2 : 1))
    return y && [y]
  })
