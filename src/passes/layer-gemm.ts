import { isFloat } from '../graph/dtype.ts'
import { type Graph, isLeaf } from '../graph/graph.ts'
import { Gemm } from '../ops/gemm.ts'
import { Add, MatMul } from '../ops/primitives.ts'
import { match, pairs, rewriteCounting } from './match.ts'

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
