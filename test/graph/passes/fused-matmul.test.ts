import { expect, test } from 'vitest'
import { print } from '../../../src/graph/print.ts'
import { fuseMatMuls } from '../../../src/passes/fused-matmul.ts'
import { deviceOf } from '../../../src/runtime/device.ts'
import { FUSE } from './examples.ts'

const { lacks } = deviceOf('cpu').target

test('a stored weight is read transposed, its gradient comes out as it is stored', () => {
  expect(print(fuseMatMuls(FUSE[0]!.build(), lacks))).toMatchInlineSnapshot(`
    "input x:f32[3,4]
    parameter w:f32[2,4]
    v0:f32[3,2] = com.microsoft.FusedMatMul(x, w) {alpha=1 transA=false transB=true transBatchA=false transBatchB=false}
    v1:f32[1,1] = Reshape(1) {shape=[1,1]}
    v2:f32[3,2] = Expand(v1) {shape=[3,2]}
    v3:f32[3,2] = Mul(v2, 0.5)
    v4:f32[3,2] = Exp(v0)
    v5:f32[3,2] = Mul(v3, v4)
    v6:f32[2,4] = com.microsoft.FusedMatMul(v5, x) {alpha=1 transA=true transB=false transBatchA=false transBatchB=false}
    return y=v0, dw=v6"
  `)
})

test('heads behind the tokens are read in place', () => {
  expect(print(fuseMatMuls(FUSE[1]!.build(), lacks))).toMatchInlineSnapshot(`
    "input q:f32[5,2,3,4]
    input k:f32[5,2,3,4]
    v0:f32[2,3,5,5] = com.microsoft.FusedMatMul(q, k) {alpha=0.5 transA=false transB=true transBatchA=true transBatchB=true}
    v1:f32[2,3,5,5] = Softmax(v0) {axis=-1}
    v2:f32[2,3,5,4] = com.microsoft.FusedMatMul(v1, q) {alpha=1 transA=false transB=false transBatchA=false transBatchB=true}
    return y=v2"
  `)
})

test('a transposition that tears rows apart becomes one that does not', () => {
  expect(print(fuseMatMuls(FUSE[2]!.build(), lacks))).toMatchInlineSnapshot(`
    "input x:f32[2,5,3,4]
    v0:f32[2,3,5,4] = Transpose(x) {perm=[0,2,1,3]}
    v1:f32[2,3,5,5] = com.microsoft.FusedMatMul(v0, v0) {alpha=1 transA=false transB=true transBatchA=false transBatchB=false}
    v2:f32[2,3,5,4] = com.microsoft.FusedMatMul(v1, v0) {alpha=1 transA=true transB=false transBatchA=false transBatchB=false}
    v3:f32[2,5,3,4] = Transpose(v2) {perm=[0,2,1,3]}
    return y=v3"
  `)
})
