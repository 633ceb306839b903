import { expect, test } from 'vitest'
import { print } from '../../../src/graph/print.ts'
import { simplify } from '../../../src/passes/simplify.ts'
import { SIMPLIFY } from './examples.ts'

test('the gradient of a GELU takes six passes, and its constants join the products', () => {
  expect(print(simplify(SIMPLIFY[0]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[16,4]
    parameter w:f32[2,4]
    parameter b:f32[2]
    parameter v:f32[4,2]
    v0:f32[2,4] = Transpose(v) {perm=[1,0]}
    v1:f32[4,2] = Transpose(v0) {perm=[1,0]}
    v2:f32[16,2] = MatMul(1:f32[16,4], v1)
    v3:f32[16,2] = Mul(v2, 0.707107)
    v4:f32[4,2] = Transpose(w) {perm=[1,0]}
    v5:f32[16,2] = MatMul(x, v4)
    v6:f32[16,2] = Mul(v5, 0.707107)
    v7:f32[2] = Mul(b, 0.707107)
    v8:f32[16,2] = Add(v6, v7)
    v9:f32[16,2] = Erf(v8)
    v10:f32[16,2] = Add(v9, 1)
    v11:f32[16,2] = Mul(v8, v8)
    v12:f32[16,2] = Sub(0.120782, v11)
    v13:f32[16,2] = Exp(v12)
    v14:f32[16,2] = Mul(v13, v8)
    v15:f32[16,2] = Add(v10, v14)
    v16:f32[16,2] = Mul(v3, v15)
    v17:f32[16,2] = Mul(v16, 0.707107)
    v18:f32[2,4] = Transpose(v4) {perm=[1,0]}
    v19:f32[16,4] = MatMul(v17, v18)
    return dx=v19"
  `)
})

test('numbers meet and negations go', () => {
  expect(print(simplify(SIMPLIFY[1]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[2,3]
    v0:f32[2,3] = Mul(x, -4)
    v1:f32[2,3] = Sub(v0, x)
    v2:f32[2,3] = Sub(0.693147, x)
    v3:f32[2,3] = Exp(v2)
    return y=v1, z=v3"
  `)
})

test('an operand stays expanded where the result needs its shape', () => {
  expect(print(simplify(SIMPLIFY[2]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[3,1]
    v0:f32[3,4] = Expand(x) {shape=[3,4]}
    v1:f32[3,4] = Mul(v0, 2)
    return y=v1"
  `)
})

test('a product that is read elsewhere is not taken apart', () => {
  expect(print(simplify(SIMPLIFY[3]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[2,3]
    parameter a:f32[2,3]
    v0:f32[2,3] = Mul(x, a)
    v1:f32[2,3] = Exp(x)
    v2:f32[2,3] = Mul(x, v1)
    v3:f32[2,3] = Add(v0, v2)
    return y=v3, p=v0"
  `)
})
