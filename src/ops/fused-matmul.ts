import { attr } from '../graph/attributes.ts'
import { noGradient, op, sameDType } from '../graph/op.ts'
import { nth } from '../graph/present.ts'
import { f32, sample } from '../graph/sample.ts'
import type { Shape } from '../graph/shape.ts'
import * as shapes from '../graph/shape.ts'
import { mul } from './elementwise.ts'
import { transpose } from './layout.ts'
import { matmul } from './matmul.ts'

/** How an operand is read: the order of its axes that `trans` and `transBatch` stand for. */
export function readOrder(rank: number, trans: boolean, batch: boolean): number[] {
  const order = Array.from({ length: rank }, (_, i) => i)
  // transBatch reads [T, …, K] as […, T, K].
  if (batch) order.splice(rank - 2, 0, ...order.splice(0, 1))
  if (trans) order.push(...order.splice(rank - 2, 1))
  return order
}

const seen = (shape: Shape, trans: boolean, batch: boolean): Shape =>
  readOrder(shape.length, trans, batch).map(i => nth(shape, i))

/** onnxruntime's matrix product alpha · A B that reads its operands transposed: which passes write and models do not. */
export const FusedMatMul = op('FusedMatMul', {
  domain: 'com.microsoft',
  inputs: ['A', 'B'],
  attrs: {
    alpha: attr.float({ default: 1 }),
    transA: attr.bool({ default: false }),
    transB: attr.bool({ default: false }),
    transBatchA: attr.bool({ default: false }),
    transBatchB: attr.bool({ default: false }),
  },
  infer: ([a, b], { transA, transB, transBatchA, transBatchB }) => [
    {
      dtype: sameDType('fused matmul', [a, b]),
      shape: shapes.matmul(
        'fused matmul',
        seen(a.shape, transA, transBatchA),
        seen(b.shape, transB, transBatchB),
      ),
    },
  ],
  macs: ([a], [y], { transA, transBatchA }) =>
    shapes.productMacs(seen(a.shape, transA, transBatchA), y.shape),
  vjp: noGradient('passes create it after differentiation'),
  samples: [
    sample(f32(7, 5), f32(7, 3), {
      alpha: 0.5,
      transA: true,
      transB: false,
      transBatchA: false,
      transBatchB: false,
    }),
    sample(f32(2, 5, 7), f32(3, 7), {
      alpha: 1,
      transA: false,
      transB: true,
      transBatchA: false,
      transBatchB: false,
    }),
    sample(f32(5, 2, 3, 7), f32(4, 2, 3, 7), {
      alpha: 2,
      transA: false,
      transB: true,
      transBatchA: true,
      transBatchB: true,
    }),
    sample(f32(7, 2, 3, 5), f32(2, 3, 7, 4), {
      alpha: 1,
      transA: true,
      transB: false,
      transBatchA: true,
      transBatchB: false,
    }),
  ],
  decompose: ([a, b], { alpha, transA, transB, transBatchA, transBatchB }) => [
    mul(
      matmul(
        transpose(a, readOrder(a.shape.length, transA, transBatchA)),
        transpose(b, readOrder(b.shape.length, transB, transBatchB)),
      ),
      alpha,
    ),
  ],
})
