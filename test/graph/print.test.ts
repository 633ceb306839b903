import { expect, test } from 'vitest'
import { constant, input, parameter } from '../../src/graph/leaf.ts'
import { print } from '../../src/graph/print.ts'
import { add, grad, matmul, mean, mul, split, sum } from '../../src/ops/index.ts'

const build = () => {
  const x = input('x', 'float32', ['batch', 3])
  const w = parameter([3, 4], { kind: 'constant', value: 0 })
  const [a, b] = split(matmul(x, w), 1, [1, 3])
  const y = mul(add(b!, constant([1, 2, 3], 'float32', [3])), 0.1)
  return { inputs: { x }, parameters: { w }, outputs: { y, a: a! } }
}

test('a graph prints as one line a node, constants and attributes beside', () => {
  expect(print(build())).toMatchInlineSnapshot(`
    "input x:f32[batch,3]
    parameter w:f32[3,4]
    v0:f32[batch,4] = MatMul(x, w)
    v1:f32[batch,1], v2:f32[batch,3] = Split(v0) {axis=1 sizes=[1,3]}
    v3:f32[batch,3] = Add(v2, [1,2,3]:f32[3])
    v4:f32[batch,3] = Mul(v3, 0.1)
    return y=v4, a=v1"
  `)
})

test('two graphs built alike print alike', () => {
  expect(print(build())).toBe(print(build()))
})

test('a gradient prints with the sizes that only the run knows', () => {
  const { inputs, parameters, outputs } = build()
  const loss = mean(outputs.y)
  const [dw] = grad(sum(loss), [parameters.w])
  expect(print({ inputs, parameters, outputs: { dw: dw! } })).toMatchInlineSnapshot(`
    "input x:f32[batch,3]
    parameter w:f32[3,4]
    v0:f32[3,batch] = Transpose(x) {perm=[1,0]}
    v1:f32[batch,1] = Expand(0) {shape=[batch,1]}
    v2:f32[] = Div(1, #batch*3)
    v3:f32[1,1] = Reshape(v2) {shape=[1,1]}
    v4:f32[batch,3] = Expand(v3) {shape=[batch,3]}
    v5:f32[batch,3] = Mul(v4, 0.1)
    v6:f32[batch,4] = Concat(v1, v5) {axis=1}
    v7:f32[3,4] = MatMul(v0, v6)
    return dw=v7"
  `)
})

test('a leaf that the graph does not declare is marked', () => {
  const { outputs } = build()
  expect(print({ inputs: {}, parameters: {}, outputs })).toContain('MatMul(?x, ?Parameter)')
})
