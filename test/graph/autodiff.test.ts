import { describe, expect, test } from 'vitest'
import { input } from '../../src/graph/leaf.ts'
import type { Vjp } from '../../src/graph/node.ts'
import { op } from '../../src/graph/op.ts'
import { print } from '../../src/graph/print.ts'
import { withScope } from '../../src/graph/scope.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import {
  add,
  argmax,
  cast,
  dropout,
  exp,
  floor,
  grad,
  greater,
  linear,
  matmul,
  mul,
  reshape,
  sigmoid,
  softmax,
  split,
  sub,
  sum,
  vjp,
  where,
} from '../../src/ops/index.ts'

const x: AnyTensor = input('x', 'float32', [2, 3])
const y: AnyTensor = input('y', 'float32', [3])

const text = (outputs: Record<string, AnyTensor>): string =>
  print({ inputs: { x, y }, parameters: {}, outputs })

test('a product rule, with a broadcast operand summed down to its shape', () => {
  const [dx, dy] = grad(sum(mul(x, y)), [x, y])
  expect(dx!.shape).toEqual([2, 3])
  expect(dy!.shape).toEqual([3])
  expect(text({ dx: dx!, dy: dy! })).toMatchInlineSnapshot(`
    "input x:f32[2,3]
    input y:f32[3]
    v0:f32[1,1] = Reshape(1) {shape=[1,1]}
    v1:f32[2,3] = Expand(v0) {shape=[2,3]}
    v2:f32[2,3] = Mul(v1, y)
    v3:f32[2,3] = Mul(v1, x)
    v4:f32[3] = ReduceSum(v3) {axes=[0] keepdims=false}
    return dx=v2, dy=v4"
  `)
})

test('gradients from several readers are added', () => {
  const [dx] = grad(sum(add(mul(x, x), exp(x))), [x])
  expect(text({ dx: dx! })).toMatchInlineSnapshot(`
    "input x:f32[2,3]
    input y:f32[3]
    v0:f32[1,1] = Reshape(1) {shape=[1,1]}
    v1:f32[2,3] = Expand(v0) {shape=[2,3]}
    v2:f32[2,3] = Exp(x)
    v3:f32[2,3] = Mul(v1, v2)
    v4:f32[2,3] = Mul(v1, x)
    v5:f32[2,3] = Add(v3, v4)
    v6:f32[2,3] = Add(v5, v4)
    return dx=v6"
  `)
})

test('a linear layer differentiates to two matrix products and a sum', () => {
  const w = input('w', 'float32', [4, 3])
  const b = input('b', 'float32', [4])
  const dy = input('dy', 'float32', [2, 4])
  const [dx, dw, db] = vjp(linear(x, w, b), dy, [x, w, b])
  expect(
    print({ inputs: { x, w, dy }, parameters: {}, outputs: { dx: dx!, dw: dw!, db: db! } }),
  ).toMatchInlineSnapshot(`
    "input x:f32[2,3]
    input w:f32[4,3]
    input dy:f32[2,4]
    v0:f32[3,4] = Transpose(w) {perm=[1,0]}
    v1:f32[4,3] = Transpose(v0) {perm=[1,0]}
    v2:f32[2,3] = MatMul(dy, v1)
    v3:f32[3,2] = Transpose(x) {perm=[1,0]}
    v4:f32[3,4] = MatMul(v3, dy)
    v5:f32[4,3] = Transpose(v4) {perm=[1,0]}
    v6:f32[4] = ReduceSum(dy) {axes=[0] keepdims=false}
    return dx=v2, dw=v5, db=v6"
  `)
})

test('a softmax differentiates through its own output', () => {
  const dy = input('dy', 'float32', [2, 3])
  const [dx] = vjp(softmax(x), dy, [x])
  expect(print({ inputs: { x, dy }, parameters: {}, outputs: { dx: dx! } })).toMatchInlineSnapshot(`
    "input x:f32[2,3]
    input dy:f32[2,3]
    v0:f32[2,3] = Softmax(x) {axis=-1}
    v1:f32[2,3] = Mul(dy, v0)
    v2:f32[2,1] = ReduceSum(v1) {axes=[1] keepdims=true}
    v3:f32[2,3] = Sub(dy, v2)
    v4:f32[2,3] = Mul(v3, v0)
    return dx=v4"
  `)
})

test('what does not depend on an input has a gradient of zeros', () => {
  const [dy] = grad(sum(exp(x)), [y])
  expect(text({ dy: dy! })).toMatchInlineSnapshot(`
    "input x:f32[2,3]
    input y:f32[3]
    return dy=0:f32[3]"
  `)
})

test('steps and indices pass no gradient on', () => {
  const soft = cast(argmax(x, 1), 'float32')
  const [dx] = grad(add(sum(floor(x)), sum(soft)), [x])
  expect(text({ dx: dx! })).toMatchInlineSnapshot(`
    "input x:f32[2,3]
    input y:f32[3]
    return dx=0:f32[2,3]"
  `)
})

test('the condition of a where is not differentiated, its branches are masked', () => {
  const [dx, dy] = grad(sum(where(greater(x, y), x, y)), [x, y])
  expect(text({ dx: dx!, dy: dy! })).toMatchInlineSnapshot(`
    "input x:f32[2,3]
    input y:f32[3]
    v0:bool[2,3] = Greater(x, y)
    v1:f32[1,1] = Reshape(1) {shape=[1,1]}
    v2:f32[2,3] = Expand(v1) {shape=[2,3]}
    v3:f32[2,3] = Where(v0, v2, 0)
    v4:f32[2,3] = Where(v0, 0, v2)
    v5:f32[3] = ReduceSum(v4) {axes=[0] keepdims=false}
    return dx=v3, dy=v5"
  `)
})

test('pieces of a split that nothing reads count as zeros', () => {
  const [a] = split(x, 1, [1, 2])
  const [dx] = grad(sum(a!), [x])
  expect(text({ dx: dx! })).toMatchInlineSnapshot(`
    "input x:f32[2,3]
    input y:f32[3]
    v0:f32[1,1] = Reshape(1) {shape=[1,1]}
    v1:f32[2,1] = Expand(v0) {shape=[2,1]}
    v2:f32[2,3] = Concat(v1, 0:f32[2,2]) {axis=1}
    return dx=v2"
  `)
})

test('a gradient can be differentiated again', () => {
  const [dx] = grad(sum(sigmoid(x)), [x])
  const [ddx] = grad(sum(mul(dx!, dx!)), [x])
  expect(ddx!.shape).toEqual([2, 3])
})

test('with respect to a tensor in the middle, what comes before does not matter', () => {
  const middle = exp(x)
  const [d] = grad(sum(mul(middle, middle)), [middle])
  expect(text({ d: d! })).toMatchInlineSnapshot(`
    "input x:f32[2,3]
    input y:f32[3]
    v0:f32[1,1] = Reshape(1) {shape=[1,1]}
    v1:f32[2,3] = Expand(v0) {shape=[2,3]}
    v2:f32[2,3] = Exp(x)
    v3:f32[2,3] = Mul(v1, v2)
    v4:f32[2,3] = Add(v3, v3)
    return d=v4"
  `)
})

test('a gradient needs a scalar', () => {
  expect(() => grad(x, [x])).toThrowErrorMatchingInlineSnapshot(
    `[UserError: grad: needs a scalar, got [2,3]; sum it, or use vjp]`,
  )
})

test('an op without a gradient says why', () => {
  const loss = sum(matmul(dropout(x, 0.5), y))
  expect(() => grad(loss, [x])).toThrowErrorMatchingInlineSnapshot(
    `[UserError: Dropout has no gradient: the step compiler replaces it with a random mask before differentiation]`,
  )
  // It does not matter where no gradient is asked for.
  expect(grad(sum(sub(matmul(dropout(x, 0.5), y), 1)), [y])).toHaveLength(1)
})

describe('a gradient rule that is wrong is named, with its input and the layer', () => {
  const withRule = (type: string, vjp: Vjp<Record<never, never>, readonly ['A', 'B?']>) => {
    const made = op(type, { domain: 'test', inputs: ['A', 'B?'], infer: ([a]) => [a], vjp })
    return () => grad(sum(withScope('blocks.0', () => made.apply([x, y]))), [x, y])
  }
  const text = (attempt: () => unknown) => {
    try {
      attempt()
    } catch (error) {
      return String(error)
    }
    return 'accepted'
  }

  test('or accepted', () => {
    const rows = (dy: AnyTensor) => sum(dy, 0)
    expect(text(withRule('Right', ({ dy }) => [dy, rows(dy)]))).toBe('accepted')
    // Summed down to y's shape by the engine.
    expect(text(withRule('Broadcast', ({ dy }) => [dy, dy]))).toBe('accepted')
    expect(text(withRule('Null', ({ dy }) => [dy, null]))).toBe('accepted')
  })

  test('the messages', () => {
    expect([
      text(withRule('Few', ({ dy }) => [dy])),
      text(withRule('Halves', ({ dy }) => [cast(dy, 'float64'), dy])),
      text(withRule('Small', ({ x: [a], dy }) => [sum(a, 1), dy])),
      text(withRule('Other', ({ dy }) => [dy, reshape(dy, [3, 2])])),
    ]).toMatchInlineSnapshot(`
      [
        "UserError: Few: its gradient rule returns 1 gradients for 2 inputs; return null for an input that has none (in blocks.0)",
        "UserError: Halves: its gradient rule returns a gradient of float64 for input 0 (A) of float32; cast it (in blocks.0)",
        "UserError: Small: its gradient rule returns a gradient of [2] for input 0 (A) of [2,3] (in blocks.0)",
        "UserError: Other: its gradient rule returns a gradient of [3,2] for input 1 (B) of [3] (in blocks.0)",
      ]
    `)
  })
})
