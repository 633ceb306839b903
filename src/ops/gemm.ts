import { attr, type TensorType } from '../graph/attributes.ts'
import { noGradient, op } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import * as shapes from '../graph/shape.ts'
import { add, mul } from './elementwise.ts'
import { transpose } from './layout.ts'
import { matmul } from './matmul.ts'

const turned = (t: TensorType, yes: boolean): shapes.Shape => (yes ? t.shape.toReversed() : t.shape)

const forms = {
  alpha: attr.float({ default: 1 }),
  transA: attr.bool({ default: false }),
  transB: attr.bool({ default: false }),
}

/** α A B + c of matrices, which may be read transposed; c `[N]` is added to each row. Passes write it, models do not. */
export const Gemm = op('Gemm', {
  inputs: ['A', 'B', 'C?'],
  attrs: forms,
  infer: ([a, b, c], { transA, transB }) => {
    const shape = shapes.matmul('gemm', turned(a, transA), turned(b, transB))
    return [{ dtype: a.dtype, shape: c ? shapes.expand('gemm', c.shape, shape) : shape }]
  },
  macs: ([a], [y], { transA }) => shapes.productMacs(turned(a, transA), y.shape),
  vjp: noGradient('passes create it after differentiation'),
  samples: [
    sample(f32(5, 7), f32(3, 7), f32(3), { alpha: 0.5, transA: false, transB: true }),
    sample(f32(7, 5), f32(7, 3), f32(3), { alpha: 1, transA: true, transB: false }),
  ],
  decompose: ([a, b, c], { alpha, transA, transB }) => {
    const left = transA ? transpose(a, [1, 0]) : a
    const right = transB ? transpose(b, [1, 0]) : b
    const product = mul(matmul(left, right), alpha)
    return [c ? add(product, c) : product]
  },
})

// alpha A B + beta C, by ops that have a gradient
