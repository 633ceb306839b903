import { isFloat } from '../graph/dtype.ts'
import { type Graph, isLeaf } from '../graph/graph.ts'
import { FusedMatMul } from '../ops/fused-matmul.ts'
import { Gemm } from '../ops/gemm.ts'
import { reshape } from '../ops/layout.ts'
import { Add, MatMul, rows } from '../ops/primitives.ts'
import { elements, match, pairs, rewriteCounting } from './match.ts'

/** Largest result, in elements, whose bias Gemm adds; beyond a core's cache it copies the bias in on one core first. */
const LARGEST = 2 ** 18

const PLAIN = { alpha: 1, transA: false, transB: false, transBatchA: false } as const

/** A matrix product and the bias added to it become one Gemm. */
export const biasIntoGemm = (graph: Graph): Graph =>
  rewriteCounting(graph, (node, readers) => {
    for (const [y, bias] of pairs(node, Add)) {
      const fused = match(y.node, FusedMatMul)
      const product = match(y.node, MatMul) ?? fused
      if (!product || readers(y) > 1 || bias.shape.length !== 1 || bias.shape[0] !== y.shape.at(-1)) continue
      const [a, b] = product.inputs
      const { alpha, transA, transB, transBatchA } = fused?.attrs ?? PLAIN
      const flat = a.shape.length === 2 || !transA
      if (b.shape.length !== 2 || a.shape.length < 2 || !flat || transBatchA || elements(y.shape) > LARGEST)
        continue
      return [reshape(Gemm.apply([rows(a), b, bias], { alpha, transA, transB }), y.shape)]
    }
    return undefined
  })

/**
 * A matrix times a weight as files hold it, and its bias, become one Gemm. onnxruntime joins them when it loads a file; other runtimes
 * may not, and the file has fewer nodes. A product of more axes stays: Gemm takes matrices alone.
 */
export const layersIntoGemm = (graph: Graph): Graph =>
  rewriteCounting(graph, (node, readers) => {
    for (const [y, bias] of pairs(node, Add)) {
      const [a, b] = match(y.node, MatMul)?.inputs ?? []
      if (!a || !b || readers(y) > 1 || a.shape.length !== 2 || b.shape.length !== 2) continue
      const fits = bias.shape.length === 1 && bias.shape[0] === y.shape[1] && isFloat(y.dtype)
      if (!fits || !isLeaf(b.node) || !isLeaf(bias.node)) continue
      return [Gemm.apply([a, b, bias], { alpha: 1, transA: false, transB: false })]
    }
    return undefined
  })
