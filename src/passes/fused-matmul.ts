import type { DType } from '../graph/dtype.ts'
import type { Graph } from '../graph/graph.ts'
import type { Node } from '../graph/node.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { FusedMatMul, readOrder } from '../ops/fused-matmul.ts'
import { transpose } from '../ops/layout.ts'
import { matmul } from '../ops/matmul.ts'
import { MatMul, Mul, Transpose } from '../ops/primitives.ts'
import { match, numberOff, onlyOutput, pairs, permuted, rewriteCounting, scalar } from './match.ts'

/** A matrix to multiply, `alpha` times `t` read in another order of axes. */
interface Operand {
  readonly t: AnyTensor
  readonly trans: boolean
  readonly batch: boolean
  readonly alpha: number
}

const whole = (t: AnyTensor): Operand => ({ t, trans: false, batch: false, alpha: 1 })
const turned = (o: Operand): Operand => ({ ...o, trans: !o.trans })

const FORMS = [
  [true, false],
  [false, true],
  [true, true],
] as const

/** The order that exchanges the last two axes. */
const swap = (rank: number): number[] => readOrder(rank, true, false)

/**
 * Removes from an operand what the product can do itself.
 * @param batched whether both operands have batch axes, which FusedMatMul needs to read them from behind the rows
 */
function peel(operand: Operand, batched: boolean): Operand {
  const { t, trans, batch, alpha } = operand
  const { x, c } = numberOff(t)
  if (c !== 1) return peel({ ...operand, t: x, alpha: alpha * c }, batched)
  const turning = match(t.node, Transpose)
  if (!turning || batch) return operand
  const { perm } = turning.attrs
  const [source] = turning.inputs
  const rank = perm.length
  for (const [more, turn] of FORMS)
    if ((!turn || batched) && readOrder(rank, more, turn).every((p, i) => p === perm[i]))
      return peel({ t: source, trans: trans !== more, batch: turn, alpha }, batched)
  // A transposition that keeps rows whole is faster, and often serves another product too.
  const kept = permuted(perm, swap(rank))
  return kept[rank - 1] === rank - 1 ? { t: transpose(source, kept), trans: !trans, batch, alpha } : operand
}

const product = (a: Operand, b: Operand): AnyTensor => {
  const alpha = a.alpha * b.alpha
  if (alpha === 1 && ![a, b].some(o => o.trans || o.batch)) return matmul(a.t, b.t)
  return FusedMatMul.apply([a.t, b.t], {
    alpha,
    transA: a.trans,
    transB: b.trans,
    transBatchA: a.batch,
    transBatchB: b.batch,
  })
}

/** The operands of a product of matrices, fused or not. */
function operands(node: Node): [Operand, Operand] | undefined {
  const found = match(node, MatMul) ?? match(node, FusedMatMul)
  const [a, b] = found?.inputs ?? []
  if (!a || !b || a.shape.length < 2 || b.shape.length < 2) return undefined
  const fused = match(node, FusedMatMul)?.attrs
  if (!fused) return [whole(a), whole(b)]
  const { alpha, transA, transB, transBatchA, transBatchB } = fused
  return [
    { t: a, trans: transA, batch: transBatchA, alpha },
    { t: b, trans: transB, batch: transBatchB, alpha: 1 },
  ]
}

/** (A B)ᵀ = Bᵀ Aᵀ, for a transposition of the result that tears rows apart. */
function transposedProduct([a, b]: [Operand, Operand], perm: readonly number[]): AnyTensor | undefined {
  const rank = perm.length
  const rest = permuted(swap(rank), perm)
  if (rest[rank - 1] !== rank - 1 || a.t.shape.length !== rank || b.t.shape.length !== rank) return undefined
  return transpose(product(turned(b), turned(a)), rest)
}

/**
 * Transpositions and factors around a matrix product become attributes of onnxruntime's FusedMatMul, which reads its
 * operands in place: (x yᵀ) · c, xᵀ y, and products of `[T, B, H, d]` over `[B, H]`.
 */
export const fuseMatMuls = (graph: Graph, lacks: (op: string, dtype: DType) => boolean): Graph =>
  rewriteCounting(graph, (node, readers) => {
    if (lacks(FusedMatMul.type, onlyOutput(node).dtype)) return undefined
    const parts = match(node, MatMul) && operands(node)
    if (parts) {
      // A product with one matrix is one large product, whatever the axes before the last.
      const [a, b] = parts
      const rank = a.t.shape.length
      const batched = rank === b.t.shape.length && rank > 2
      return [product(peel(a, batched), peel(b, batched))]
    }
    const turning = match(node, Transpose)
    if (turning) {
      const [x] = turning.inputs
      const inner = readers(x) === 1 && operands(x.node)
      const y = inner && transposedProduct(inner, turning.attrs.perm)
      return y ? [y] : undefined
    }
    for (const [x, f] of pairs(node, Mul)) {
      const inner = readers(x) === 1 && operands(x.node)
      const c = scalar(f)
      if (inner && c !== undefined) return [product({ ...inner[0], alpha: inner[0].alpha * c }, inner[1])]
    }
    return undefined
  })
