import { expect, test } from 'vitest'
import { print } from '../../../src/graph/print.ts'
import { pushSlices } from '../../../src/passes/slices.ts'
import { SLICES } from './examples.ts'

test('a slice goes up to the tokens that it needs, and the rest is not computed', () => {
  expect(print(pushSlices(SLICES[0]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[batch,5,8]
    parameter w:f32[8,8]
    parameter scale:f32[8]
    parameter shift:f32[8]
    v0:f32[batch,1,8] = Slice(x) {starts=[0] ends=[1] axes=[1] steps=[1]}
    v1:f32[8,8] = Transpose(w) {perm=[1,0]}
    v2:f32[batch,1,8] = MatMul(v0, v1)
    v3:f32[batch,1,8] = Add(v0, v2)
    v4:f32[batch,1,8], v5:f32[batch,1,1], v6:f32[batch,1,1] = LayerNormalization(v3, scale, shift) {axis=-1 epsilon=0.00001}
    v7:f32[batch,8] = Reshape(v4) {shape=[batch,8]}
    return y=v7"
  `)
})

test('the parts of a joint projection become projections of their own', () => {
  expect(print(pushSlices(SLICES[1]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[batch,5,8]
    parameter w:f32[12,8]
    parameter b:f32[12]
    v0:f32[4,8] = Slice(w) {starts=[0] ends=[4] axes=[0] steps=[1]}
    v1:f32[8,4] = Transpose(v0) {perm=[1,0]}
    v2:f32[batch,5,4] = MatMul(x, v1)
    v3:f32[4] = Slice(b) {starts=[0] ends=[4] axes=[0] steps=[1]}
    v4:f32[batch,5,4] = Add(v2, v3)
    v5:f32[batch,5,1,2,2] = Reshape(v4) {shape=[batch,5,1,2,2]}
    v6:f32[1,batch,2,5,2] = Transpose(v5) {perm=[2,0,3,1,4]}
    v7:f32[batch,2,5,2] = Reshape(v6) {shape=[batch,2,5,2]}
    v8:f32[4,8] = Slice(w) {starts=[8] ends=[12] axes=[0] steps=[1]}
    v9:f32[8,4] = Transpose(v8) {perm=[1,0]}
    v10:f32[batch,5,4] = MatMul(x, v9)
    v11:f32[4] = Slice(b) {starts=[8] ends=[12] axes=[0] steps=[1]}
    v12:f32[batch,5,4] = Add(v10, v11)
    v13:f32[batch,5,1,2,2] = Reshape(v12) {shape=[batch,5,1,2,2]}
    v14:f32[1,batch,2,5,2] = Transpose(v13) {perm=[2,0,3,1,4]}
    v15:f32[batch,2,5,2] = Reshape(v14) {shape=[batch,2,5,2]}
    return q=v7, v=v15"
  `)
})

test('a slice takes from each part of a concatenation what it covers', () => {
  expect(print(pushSlices(SLICES[2]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[2,5,4]
    parameter token:f32[1,1,4]
    v0:f32[2,1,4] = Expand(token) {shape=[2,1,4]}
    v1:f32[2,2,4] = Slice(x) {starts=[0] ends=[2] axes=[1] steps=[1]}
    v2:f32[2,3,4] = Concat(v0, v1) {axis=1}
    v3:f32[2,3,4] = Mul(v2, 2)
    return y=v3"
  `)
})

test('what is read as a whole is computed as a whole', () => {
  expect(print(pushSlices(SLICES[3]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[4,6]
    v0:f32[4,6] = Add(x, 1)
    v1:f32[] = ReduceSum(v0) {axes=[0,1] keepdims=false}
    v2:f32[1,6] = Slice(v0) {starts=[2] ends=[3] axes=[0] steps=[1]}
    return y=v1, row=v2"
  `)
})
