import { expect, test } from 'vitest'
import { print } from '../../../src/graph/print.ts'
import { centreWeights } from '../../../src/passes/centre.ts'
import { simplify } from '../../../src/passes/simplify.ts'
import { CENTRE } from './examples.ts'

test('the weights are centred in place of the gradient of what they were multiplied with', () => {
  expect(print(centreWeights(simplify(CENTRE[0]!.build())))).toMatchInlineSnapshot(`
    "input x:f32[40,4]
    parameter w:f32[3,4]
    parameter v:f32[5,4]
    v0:f32[40,4], v1:f32[40,1], v2:f32[40,1] = LayerNormalization(x, 1:f32[4], 0:f32[4]) {axis=-1 epsilon=0.00001}
    v3:f32[4,5] = Transpose(v) {perm=[1,0]}
    v4:f32[40,5] = MatMul(v0, v3)
    v5:f32[40,5] = Exp(v4)
    v6:f32[5,4] = Transpose(v3) {perm=[1,0]}
    v7:f32[5,1] = ReduceMean(v6) {axes=[1] keepdims=true}
    v8:f32[5,4] = Sub(v6, v7)
    v9:f32[40,4] = MatMul(v5, v8)
    v10:f32[4,3] = Transpose(w) {perm=[1,0]}
    v11:f32[40,3] = MatMul(v0, v10)
    v12:f32[40,3] = Exp(v11)
    v13:f32[3,4] = Transpose(v10) {perm=[1,0]}
    v14:f32[3,1] = ReduceMean(v13) {axes=[1] keepdims=true}
    v15:f32[3,4] = Sub(v13, v14)
    v16:f32[40,4] = MatMul(v12, v15)
    v17:f32[40,4] = Add(v9, v16)
    v18:f32[40,4] = Sub(x, v1)
    v19:f32[40,4] = Mul(v18, v2)
    v20:f32[40,4] = Mul(v17, v19)
    v21:f32[40,1] = ReduceMean(v20) {axes=[1] keepdims=true}
    v22:f32[40,4] = Mul(v19, v21)
    v23:f32[40,4] = Sub(v17, v22)
    v24:f32[40,4] = Mul(v23, v2)
    return dx=v24"
  `)
})
