import { type Graph, rewrite } from '../graph/graph.ts'
import { constant } from '../graph/leaf.ts'
import { product } from '../graph/shape.ts'
import { FusedMatMul } from '../ops/fused-matmul.ts'
import { reshape } from '../ops/layout.ts'
import { Transpose } from '../ops/primitives.ts'
import { match } from './match.ts'

/** Longest row that is moved so: each element costs as many multiplications as a row is long. */
const LONGEST = 32

/**
 * The transposition `[…, T, d]` → `[T, …, d]` of short rows becomes a product with the identity that reads its
 * operand so: onnxruntime transposes on one core, row by row, and multiplies on all.
 */
export const transposeByProduct = (graph: Graph): Graph =>
  rewrite(graph, (node, inputs) => {
    const turning = match(node, Transpose, inputs)
    if (!turning) return undefined
    const [x] = turning.inputs
    const { shape } = x
    const rank = shape.length
    const moves = turning.attrs.perm.every((p, i) => p === (i === 0 ? rank - 2 : i === rank - 1 ? i : i - 1))
    const [rows, size] = [shape.at(-2), shape.at(-1)]
    if (!moves || rank < 3 || typeof size !== 'number' || size > LONGEST) return undefined
    const identity = constant(
      Array.from({ length: size * size }, (_, i) => (i % (size + 1) ? 0 : 1)),
      'float32',
      [1, size, size],
    )
    const flat = reshape(x, [product(shape.slice(0, -2)), rows, size])
    const attrs = { alpha: 1, transA: false, transB: false, transBatchA: true, transBatchB: false }
    return [reshape(FusedMatMul.apply([flat, identity], attrs), turning.outputs[0].shape)]
  })
