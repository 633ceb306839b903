import { isFloat } from '../graph/dtype.ts'
import { type Graph, rewrite } from '../graph/graph.ts'
import { equalShape, product } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { mul } from '../ops/elementwise.ts'
import { fill, reshape } from '../ops/layout.ts'
import { matmul } from '../ops/matmul.ts'
import { Mul, ReduceSum } from '../ops/primitives.ts'
import { match, numberOff, pairs } from './match.ts'

/**
 * A sum over the leading axes becomes a product with a row of ones, Σᵢ xᵢⱼ = (1 ⋯ 1) x: onnxruntime's ReduceSum walks
 * such an axis in memory order of the result, its matrix product in that of the operand, on all cores.
 */
export const columnSums = (graph: Graph): Graph =>
  rewrite(graph, (node, inputs) => {
    const sum = match(node, ReduceSum, inputs)
    if (!sum) return undefined
    const [x] = sum.inputs
    if (!isFloat(x.dtype)) return undefined
    const { axes } = sum.attrs
    const rank = x.shape.length
    const leading = axes.every((axis, i) => axis === i) && axes.length < rank
    const rows = product(x.shape.slice(0, axes.length))
    const columns = product(x.shape.slice(axes.length))
    if (!leading || typeof rows !== 'number' || rows < 2 || columns === 1) return undefined
    const { x: summed, c } = numberOff(x)
    const [weight, matrix] = weighted(reshape(summed, [rows, columns]), rows)
    const total = reshape(matmul(weight, matrix), sum.outputs[0].shape)
    return [c === 1 ? total : mul(total, c)]
  })

/** A matrix as wᵢ yᵢⱼ: a factor that is the same in a whole row becomes the row's weight. */
function weighted(x: AnyTensor, rows: number): [weight: AnyTensor, matrix: AnyTensor] {
  for (const [y, w] of pairs(x.node, Mul))
    if (equalShape(w.shape, [rows, 1]) && equalShape(y.shape, x.shape)) return [reshape(w, [rows]), y]
  return [fill(1, x.dtype, [rows]), x]
}
