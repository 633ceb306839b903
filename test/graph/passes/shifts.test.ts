import { expect, test } from 'vitest'
import { nodesOf } from '../../../src/graph/graph.ts'
import { print } from '../../../src/graph/print.ts'
import { Add } from '../../../src/ops/primitives.ts'
import { moveShifts } from '../../../src/passes/shifts.ts'
import { SHIFTS } from './attention-examples.ts'

test('the bias of keys vanishes, that of values joins the bias of the next layer', () => {
  expect(print(moveShifts(SHIFTS[0]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[2,5,4]
    parameter q:f32[4,4]
    parameter k:f32[4,4]
    parameter v:f32[4,4]
    parameter p:f32[3,4]
    parameter kb:f32[4]
    parameter vb:f32[4]
    parameter pb:f32[3]
    v0:f32[4,4] = Transpose(q) {perm=[1,0]}
    v1:f32[2,5,4] = MatMul(x, v0)
    v2:f32[2,5,2,2] = Reshape(v1) {shape=[2,5,2,2]}
    v3:f32[2,2,5,2] = Transpose(v2) {perm=[0,2,1,3]}
    v4:f32[4,4] = Transpose(k) {perm=[1,0]}
    v5:f32[2,5,4] = MatMul(x, v4)
    v6:f32[2,5,2,2] = Reshape(v5) {shape=[2,5,2,2]}
    v7:f32[2,2,5,2] = Transpose(v6) {perm=[0,2,1,3]}
    v8:f32[2,2,2,5] = Transpose(v7) {perm=[0,1,3,2]}
    v9:f32[2,2,5,5] = MatMul(v3, v8)
    v10:f32[2,2,5,5] = Mul(v9, 0.5)
    v11:f32[2,2,5,5] = Softmax(v10) {axis=-1}
    v12:f32[4,4] = Transpose(v) {perm=[1,0]}
    v13:f32[2,5,4] = MatMul(x, v12)
    v14:f32[2,5,2,2] = Reshape(v13) {shape=[2,5,2,2]}
    v15:f32[2,2,5,2] = Transpose(v14) {perm=[0,2,1,3]}
    v16:f32[2,2,5,2] = MatMul(v11, v15)
    v17:f32[2,5,2,2] = Transpose(v16) {perm=[0,2,1,3]}
    v18:f32[2,5,4] = Reshape(v17) {shape=[2,5,4]}
    v19:f32[4,3] = Transpose(p) {perm=[1,0]}
    v20:f32[2,5,3] = MatMul(v18, v19)
    v21:f32[1,1,4] = Reshape(vb) {shape=[1,1,4]}
    v22:f32[1,1,2,2] = Reshape(v21) {shape=[1,1,2,2]}
    v23:f32[1,2,1,2] = Transpose(v22) {perm=[0,2,1,3]}
    v24:f32[1,1,2,2] = Transpose(v23) {perm=[0,2,1,3]}
    v25:f32[1,1,4] = Reshape(v24) {shape=[1,1,4]}
    v26:f32[4] = Reshape(v25) {shape=[4]}
    v27:f32[3] = MatMul(v26, v19)
    v28:f32[3] = Add(v27, pb)
    v29:f32[2,5,3] = Add(v20, v28)
    return y=v29"
  `)
})

test('a shift stays where it makes a difference', () => {
  const { outputs } = moveShifts(SHIFTS[1]!.build())
  const adds = (name: string) =>
    nodesOf({ inputs: {}, parameters: {}, outputs: { y: outputs[name]! } }).filter(
      node => (node.op as unknown) === Add,
    ).length
  expect(['causal', 'masked', 'raw', 'columns'].map(adds)).toEqual([0, 2, 1, 1])
})
