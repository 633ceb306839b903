import { expect, test } from 'vitest'
import { input } from '../../../src/graph/leaf.ts'
import { print } from '../../../src/graph/print.ts'
import type { AnyTensor } from '../../../src/graph/tensor.ts'
import { reshape, transpose } from '../../../src/ops/index.ts'
import { joinViews } from '../../../src/passes/adjacent-views.ts'

const x: AnyTensor = input('x', 'float32', ['batch', 6, 4])
const joined = (y: AnyTensor): string => print(joinViews({ inputs: { x }, parameters: {}, outputs: { y } }))

test('views next to each other become one', () => {
  const turned = transpose(transpose(x, [1, 0, 2]), [0, 2, 1])
  expect(joined(reshape(reshape(turned, [6, 2, 2, 'batch']), [6, 4, 'batch']))).toMatchInlineSnapshot(`
    "input x:f32[batch,6,4]
    v0:f32[6,4,batch] = Transpose(x) {perm=[1,2,0]}
    return y=v0"
  `)
})

test('views that undo each other go', () => {
  expect(joined(reshape(reshape(x, ['batch', 24]), ['batch', 6, 4]))).toMatchInlineSnapshot(`
    "input x:f32[batch,6,4]
    return y=x"
  `)
  expect(joined(transpose(transpose(x, [1, 2, 0]), [2, 0, 1]))).toMatchInlineSnapshot(`
    "input x:f32[batch,6,4]
    return y=x"
  `)
})

test('a transposition stays where a reshape is in between', () => {
  const heads = transpose(reshape(x, ['batch', 6, 2, 2]), [0, 2, 1, 3])
  expect(joined(transpose(reshape(heads, ['batch', 2, 6, 2]), [0, 1, 3, 2]))).toMatchInlineSnapshot(`
    "input x:f32[batch,6,4]
    v0:f32[batch,6,2,2] = Reshape(x) {shape=[batch,6,2,2]}
    v1:f32[batch,2,2,6] = Transpose(v0) {perm=[0,2,3,1]}
    return y=v1"
  `)
})
