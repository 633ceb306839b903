import { type Graph, nodesOf, rewrite, usersOf } from '../graph/graph.ts'
import { filledWith } from '../graph/leaf.ts'
import type { Node } from '../graph/node.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { add, mul } from '../ops/elementwise.ts'
import { fill, transposeLast } from '../ops/layout.ts'
import { matmul } from '../ops/matmul.ts'
import { Add, LayerNormalization, MatMul, Reshape, Slice } from '../ops/primitives.ts'
import { sum } from '../ops/reduce.ts'
import { match, staticNodes } from './match.ts'
import { transposed } from './views.ts'

/** The same rows, or some of them, in another order. */
const keepsRows = (node: Node): boolean => {
  const [x] = node.inputs
  const last = (x?.shape.length ?? 0) - 1
  const cut = match(node, Slice)
  if (cut) return !cut.attrs.axes.includes(last)
  return match(node, Reshape) !== undefined && x!.shape.at(-1) === node.outputs[0]!.shape.at(-1)
}

/**
 * Moves the scale γ and shift β of a layer norm into the matrix products that read it:
 * (γ x̂ + β) W + b = x̂ (γ W) + (β W + b). Their gradients are then sums over weights, not over activations, and the
 * backward pass reads x̂ as the forward pass made it.
 */
export function foldNorms(graph: Graph): Graph {
  const nodes = nodesOf(graph)
  const users = usersOf(nodes)
  const fixed = staticNodes(nodes)
  const results = new Set(Object.values(graph.outputs))

  const ontoProducts = (t: Tensor): boolean => {
    const readers = users.get(t) ?? []
    if (results.has(t) || !readers.length) return false
    return readers.every(user => {
      if (keepsRows(user)) return ontoProducts(user.outputs[0]!)
      const [x, w] = match(user, MatMul)?.inputs ?? []
      return x === t && w?.shape.length === 2 && fixed.has(w.node)
    })
  }
  const foldable = (node: Node): boolean => {
    const [, scale, shift] = match(node, LayerNormalization)?.inputs ?? []
    if (!scale || !shift || scale.shape.length !== 1 || filledWith(scale) === 1) return false
    const [y, ...statistics] = node.outputs
    const unread = statistics.every(t => !users.has(t) && !results.has(t))
    return unread && fixed.has(scale.node) && fixed.has(shift.node) && ontoProducts(y!)
  }

  // Keyed by the tensors of the graph that is given: two norms of one x have the same x̂.
  const missing = new Map<Tensor, { scale: AnyTensor; shift: AnyTensor }>()
  const shifted = new Map<Tensor, { product: AnyTensor; shift: AnyTensor }>()
  return rewrite(graph, (node, inputs) => {
    const [y] = node.outputs as [Tensor]
    if (foldable(node)) {
      const [x, scale, shift] = inputs as [AnyTensor, AnyTensor, AnyTensor]
      missing.set(y, { scale, shift })
      const attrs = match(node, LayerNormalization)!.attrs
      return LayerNormalization.applyAll([x, fill(1, scale.dtype, scale.shape)], attrs)
    }
    const lacks = node.inputs[0] && missing.get(node.inputs[0])
    if (lacks && keepsRows(node)) missing.set(y, lacks)
    if (lacks && match(node, MatMul)) {
      const [x, w] = inputs as [AnyTensor, AnyTensor]
      const rows = transposed(w, [1, 0]) // [out, in], as weights are stored
      const product = matmul(x, transposeLast(mul(rows, lacks.scale)))
      const shift = sum(mul(rows, lacks.shift), 1)
      shifted.set(y, { product, shift })
      return [add(product, shift)]
    }
    // The shift joins a bias that is added next.
    if (!match(node, Add)) return undefined
    const at = node.inputs.findIndex(t => shifted.has(t) && users.get(t)?.length === 1)
    const bias: AnyTensor | undefined = inputs[1 - at]
    if (at < 0 || bias?.shape.length !== 1) return undefined
    const { product, shift } = shifted.get(node.inputs[at]!)!
    return [add(product, add(shift, bias))]
  })
}
