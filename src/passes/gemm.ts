import type { Graph } from '../graph/graph.ts'
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
