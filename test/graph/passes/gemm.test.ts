import { expect, test } from 'vitest'
import { print } from '../../../src/graph/print.ts'
import { biasIntoGemm } from '../../../src/passes/gemm.ts'
import { GEMM } from './examples.ts'

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
