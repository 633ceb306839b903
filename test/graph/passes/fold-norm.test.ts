import { expect, test } from 'vitest'
import { print } from '../../../src/graph/print.ts'
import { foldNorms } from '../../../src/passes/fold-norm.ts'
import { FOLD_NORM } from './examples.ts'

test('scale and shift of a norm go into the weight and the bias behind it', () => {
  expect(print(foldNorms(FOLD_NORM[0]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[3,4]
    parameter scale:f32[4]
    parameter shift:f32[4]
    parameter w:f32[2,4]
    parameter b:f32[2]
    v0:f32[3,4], v1:f32[3,1], v2:f32[3,1] = LayerNormalization(x, 1:f32[4]) {axis=-1 epsilon=0.00001}
    v3:f32[2,4] = Mul(w, scale)
    v4:f32[4,2] = Transpose(v3) {perm=[1,0]}
    v5:f32[3,2] = MatMul(v0, v4)
    v6:f32[2,4] = Mul(w, shift)
    v7:f32[2] = ReduceSum(v6) {axes=[1] keepdims=false}
    v8:f32[2] = Add(v7, b)
    v9:f32[3,2] = Add(v5, v8)
    return y=v9"
  `)
})

test('two norms of one tensor keep their own scales', () => {
  expect(print(foldNorms(FOLD_NORM[1]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[3,5,4]
    parameter w:f32[2,4]
    parameter v:f32[4,2]
    parameter s1:f32[4]
    parameter b1:f32[4]
    parameter s2:f32[4]
    parameter b2:f32[4]
    v0:f32[3,5,4], v1:f32[3,5,1], v2:f32[3,5,1] = LayerNormalization(x, 1:f32[4]) {axis=-1 epsilon=0.00001}
    v3:f32[3,2,4] = Slice(v0) {starts=[0] ends=[2] axes=[1] steps=[1]}
    v4:f32[2,4] = Mul(w, s1)
    v5:f32[4,2] = Transpose(v4) {perm=[1,0]}
    v6:f32[3,2,2] = MatMul(v3, v5)
    v7:f32[2,4] = Mul(w, b1)
    v8:f32[2] = ReduceSum(v7) {axes=[1] keepdims=false}
    v9:f32[3,2,2] = Add(v6, v8)
    v10:f32[2,4] = Transpose(v) {perm=[1,0]}
    v11:f32[2,4] = Mul(v10, s2)
    v12:f32[4,2] = Transpose(v11) {perm=[1,0]}
    v13:f32[3,5,2] = MatMul(v0, v12)
    v14:f32[2,4] = Mul(v10, b2)
    v15:f32[2] = ReduceSum(v14) {axes=[1] keepdims=false}
    v16:f32[3,5,2] = Add(v13, v15)
    v17:f32[3,2,2] = Slice(v16) {starts=[0] ends=[2] axes=[1] steps=[1]}
    v18:f32[3,2,2] = Add(v9, v17)
    return y=v18"
  `)
})

test('a norm that something else reads stays whole', () => {
  expect(print(foldNorms(FOLD_NORM[2]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[3,4]
    parameter scale:f32[4]
    parameter shift:f32[4]
    parameter w:f32[4,4]
    v0:f32[3,4], v1:f32[3,1], v2:f32[3,1] = LayerNormalization(x, scale, shift) {axis=-1 epsilon=0.00001}
    v3:f32[4,4] = Transpose(w) {perm=[1,0]}
    v4:f32[3,4] = MatMul(v0, v3)
    v5:f32[3,4] = Add(v0, v4)
    return y=v5"
  `)
})
