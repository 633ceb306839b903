import { none, op, type TensorType } from '../graph/node.ts'
import { f32, sample } from '../graph/sample.ts'
import * as shapes from '../graph/shape.ts'
import { add, mul } from './elementwise.ts'
import { transpose } from './layout.ts'
import { matmul, productMacs } from './matmul.ts'

interface GemmAttrs {
  readonly [key: string]: number | boolean
  readonly alpha: number
  readonly transA: boolean
  readonly transB: boolean
}

const turned = (t: TensorType, yes: boolean): shapes.Shape => (yes ? t.shape.toReversed() : t.shape)

/** α A B + c of matrices, which may be read transposed; c `[N]` is added to each row. Passes write it, models do not. */
export const Gemm = op('Gemm', {
  attrs: { alpha: { kind: 'float' }, transA: { kind: 'bool' }, transB: { kind: 'bool' } },
  infer: ([a, b, c], { transA, transB }: GemmAttrs) => {
    const shape = shapes.matmul('gemm', turned(a!, transA), turned(b!, transB))
    return [{ dtype: a!.dtype, shape: c ? shapes.expand('gemm', c.shape, shape) : shape }]
  },
  macs: ([a], [y], { transA }) => productMacs(turned(a!, transA), y!.shape),
  vjp: none('passes make it after differentiation'),
  samples: [
    sample(f32(5, 7), f32(3, 7), f32(3), { alpha: 0.5, transA: false, transB: true }),
    sample(f32(7, 5), f32(7, 3), f32(3), { alpha: 1, transA: true, transB: false }),
  ],
  decompose: ([a, b, c], { alpha, transA, transB }) => {
    const left = transA ? transpose(a!, [1, 0]) : a!
    const right = transB ? transpose(b!, [1, 0]) : b!
    const product = mul(matmul(left, right), alpha)
    return [c ? add(product, c) : product]
  },
})
