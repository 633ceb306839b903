import type { Graph } from '../graph/graph.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { FusedMatMul } from '../ops/fused-matmul.ts'
import { Gemm } from '../ops/gemm.ts'
import { reshape } from '../ops/layout.ts'
import { Add, MatMul, rows } from '../ops/primitives.ts'
import { elements, match, pairs, rewriteCounting } from './match.ts'

/** Largest result, in elements, whose bias Gemm adds; beyond a core's cache it copies the bias in on one core first. */
const LARGEST = 2 ** 18

/** A matrix product and the bias added to it become one Gemm. */
export const biasIntoGemm = (graph: Graph): Graph =>
  rewriteCounting(graph, (node, readers) => {
    for (const [y, bias] of pairs(node, Add)) {
      const product = match(y.node, MatMul) ?? match(y.node, FusedMatMul)
      if (!product || readers(y) > 1 || bias.shape.length !== 1 || bias.shape[0] !== y.shape.at(-1)) continue
      const [a, b] = product.inputs as [AnyTensor, AnyTensor]
      const fused = match(y.node, FusedMatMul)?.attrs
      const { alpha = 1, transA = false, transB = false } = fused ?? {}
      const flat = a.shape.length === 2 || !transA
      if (
        b.shape.length !== 2 ||
        a.shape.length < 2 ||
        !flat ||
        fused?.transBatchA ||
        elements(y.shape) > LARGEST
      )
        continue
      return [reshape(Gemm.apply([rows(a), b, bias], { alpha, transA, transB }), y.shape)]
    }
    return undefined
  })
