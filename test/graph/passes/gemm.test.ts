import { expect, test } from 'vitest'
import { input, parameter } from '../../../src/graph/leaf.ts'
import { print } from '../../../src/graph/print.ts'
import type { AnyTensor } from '../../../src/graph/tensor.ts'
import { add, matmul } from '../../../src/ops/index.ts'
import { biasIntoGemm } from '../../../src/passes/gemm.ts'
import { layersIntoGemm } from '../../../src/passes/layer-gemm.ts'
import { GEMM } from './examples.ts'

const weight = (...shape: number[]): AnyTensor => parameter(shape, { kind: 'normal', std: 1 })

test('a product and its bias become one Gemm over all rows', () => {
  expect(print(biasIntoGemm(GEMM[0]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[batch,3,4]
    parameter w:f32[2,4]
    parameter b:f32[2]
    parameter v:f32[2,2]
    v0:f32[batch*3,4] = Reshape(x) {shape=[batch*3,4]}
    v1:f32[4,2] = Transpose(w) {perm=[1,0]}
    v2:f32[batch*3,2] = Gemm(v0, v1, b) {alpha=1 transA=false transB=false}
    v3:f32[batch,3,2] = Reshape(v2) {shape=[batch,3,2]}
    v4:f32[batch*3,2] = Reshape(v3) {shape=[batch*3,2]}
    v5:f32[batch*3,2] = Gemm(v4, v, b) {alpha=1 transA=false transB=false}
    v6:f32[batch,3,2] = Reshape(v5) {shape=[batch,3,2]}
    return y=v6"
  `)
})

test('in files, a matrix times a weight that is stored so, and its bias', () => {
  const [w, b] = [weight(4, 6), weight(6)]
  const rows: AnyTensor = input('x', 'float32', ['batch', 4])
  const y = (x: AnyTensor, shift: AnyTensor = b): AnyTensor => add(matmul(x, w), shift)
  const made = (x: AnyTensor, out: AnyTensor): string =>
    print(layersIntoGemm({ inputs: { x }, parameters: { w, b }, outputs: { y: out } }))
  expect(made(rows, y(rows))).toMatchInlineSnapshot(`
    "input x:f32[batch,4]
    parameter w:f32[4,6]
    parameter b:f32[6]
    v0:f32[batch,6] = Gemm(x, w, b) {alpha=1 transA=false transB=false}
    return y=v0"
  `)
  const tokens: AnyTensor = input('x', 'float32', ['batch', 3, 4])
  expect(made(tokens, y(tokens))).not.toContain('Gemm')
  expect(made(rows, y(rows, weight(1)))).not.toContain('Gemm')
})
