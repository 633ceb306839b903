import { expect, test } from 'vitest'
import { print } from '../../../src/graph/print.ts'
import { columnSums } from '../../../src/passes/column-sums.ts'
import { COLUMN_SUMS } from './examples.ts'

test('sums over leading axes become products with a row', () => {
  expect(print(columnSums(COLUMN_SUMS[0]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[4,3,2]
    parameter w:f32[12,1]
    v0:f32[12,2] = Reshape(x) {shape=[12,2]}
    v1:f32[2] = MatMul(1:f32[12], v0)
    v2:f32[2] = Mul(v1, 0.5)
    v3:f32[4,6] = Reshape(x) {shape=[4,6]}
    v4:f32[6] = MatMul(1:f32[4], v3)
    v5:f32[1,3,2] = Reshape(v4) {shape=[1,3,2]}
    v6:f32[12] = Reshape(w) {shape=[12]}
    v7:f32[2] = MatMul(v6, v0)
    v8:f32[4,3] = ReduceSum(x) {axes=[2] keepdims=false}
    v9:f32[] = ReduceSum(x) {axes=[0,1,2] keepdims=false}
    return bias=v2, position=v5, weighted=v7, rows=v8, all=v9"
  `)
})

test('a factor that is the same for all rows is not their weight', () => {
  expect(print(columnSums(COLUMN_SUMS[1]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[4,2]
    parameter w:f32[1,1]
    v0:f32[4,2] = Mul(x, w)
    v1:f32[2] = MatMul(1:f32[4], v0)
    return y=v1"
  `)
})
