import { expect, test } from 'vitest'
import { print } from '../../../src/graph/print.ts'
import { simplifyViews } from '../../../src/passes/views.ts'
import { VIEWS } from './examples.ts'

test('reshapes and transpositions in a row become one of each at most', () => {
  expect(print(simplifyViews(VIEWS[0]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[2,6,4]
    v0:f32[4,2,6] = Transpose(x) {perm=[2,0,1]}
    return y=v0"
  `)
})

test('axes of size 1 are moved by a reshape', () => {
  expect(print(simplifyViews(VIEWS[1]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[batch,5,1,3]
    v0:f32[batch,5,3] = Reshape(x) {shape=[batch,5,3]}
    v1:f32[batch,3,5] = Transpose(v0) {perm=[0,2,1]}
    v2:f32[1,batch,3,5] = Reshape(v1) {shape=[1,batch,3,5]}
    v3:f32[batch,1,5,3] = Reshape(x) {shape=[batch,1,5,3]}
    return y=v2, same=v3"
  `)
})

test('a transposition goes before the reshape that made its axes, into the one that is there', () => {
  expect(print(simplifyViews(VIEWS[2]!.build()))).toMatchInlineSnapshot(`
    "input x:f32[3,4,6]
    v0:f32[3,2,2,3,2] = Reshape(x) {shape=[3,2,2,3,2]}
    v1:f32[2,3,3,2,2] = Transpose(v0) {perm=[1,3,0,2,4]}
    v2:f32[6,3,4] = Reshape(v1) {shape=[6,3,4]}
    return y=v2"
  `)
})
