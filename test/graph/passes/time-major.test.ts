import { expect, test } from 'vitest'
import { print } from '../../../src/graph/print.ts'
import { pushSlices } from '../../../src/passes/slices.ts'
import { timeMajor } from '../../../src/passes/time-major.ts'
import { simplifyViews } from '../../../src/passes/views.ts'
import { TIME_MAJOR } from './examples.ts'

test('attention is laid out with the tokens first, and all that is connected with it', () => {
  expect(print(timeMajor(simplifyViews(pushSlices(TIME_MAJOR[0]!.build()))))).toMatchInlineSnapshot(`
    "input x:f32[2,3,4]
    parameter position:f32[1,3,4]
    parameter qkv:f32[12,4]
    parameter b:f32[12]
    v0:f32[3,2,4] = Transpose(x) {perm=[1,0,2]}
    v1:f32[3,1,4] = Reshape(position) {shape=[3,1,4]}
    v2:f32[3,2,4] = Add(v0, v1)
    v3:f32[1,2,4] = Slice(v2) {starts=[0] ends=[1] axes=[0] steps=[1]}
    v4:f32[4,4] = Slice(qkv) {starts=[0] ends=[4] axes=[0] steps=[1]}
    v5:f32[4,4] = Transpose(v4) {perm=[1,0]}
    v6:f32[1,2,4] = MatMul(v3, v5)
    v7:f32[4] = Slice(b) {starts=[0] ends=[4] axes=[0] steps=[1]}
    v8:f32[1,2,4] = Add(v6, v7)
    v9:f32[2,2,1,2] = Reshape(v8) {shape=[2,2,1,2]}
    v10:f32[4,4] = Slice(qkv) {starts=[4] ends=[8] axes=[0] steps=[1]}
    v11:f32[4,4] = Transpose(v10) {perm=[1,0]}
    v12:f32[3,2,4] = MatMul(v2, v11)
    v13:f32[4] = Slice(b) {starts=[4] ends=[8] axes=[0] steps=[1]}
    v14:f32[3,2,4] = Add(v12, v13)
    v15:f32[3,2,2,2] = Reshape(v14) {shape=[3,2,2,2]}
    v16:f32[2,2,2,3] = Transpose(v15) {perm=[1,2,3,0]}
    v17:f32[2,2,1,3] = MatMul(v9, v16)
    v18:f32[2,2,1,3] = Mul(v17, 0.707107)
    v19:f32[2,2,1,3] = Softmax(v18) {axis=-1}
    v20:f32[4,4] = Slice(qkv) {starts=[8] ends=[12] axes=[0] steps=[1]}
    v21:f32[4,4] = Transpose(v20) {perm=[1,0]}
    v22:f32[3,2,4] = MatMul(v2, v21)
    v23:f32[4] = Slice(b) {starts=[8] ends=[12] axes=[0] steps=[1]}
    v24:f32[3,2,4] = Add(v22, v23)
    v25:f32[3,2,2,2] = Reshape(v24) {shape=[3,2,2,2]}
    v26:f32[2,2,3,2] = Transpose(v25) {perm=[1,2,0,3]}
    v27:f32[2,2,1,2] = MatMul(v19, v26)
    v28:f32[1,2,4] = Reshape(v27) {shape=[1,2,4]}
    v29:f32[1,2,4] = Add(v3, v28)
    v30:f32[2,4] = Reshape(v29) {shape=[2,4]}
    return y=v30"
  `)
})

test('a graph that has nothing to gain stays as it is', () => {
  expect(print(timeMajor(simplifyViews(pushSlices(TIME_MAJOR[1]!.build()))))).toMatchInlineSnapshot(`
    "input x:f32[2,3,4]
    parameter w:f32[2,4,5]
    v0:f32[2,3,5] = MatMul(x, w)
    return y=v0"
  `)
})
