import { describe, expect, test } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import { nodesOf, postorder, rewrite, substitute, usersOf } from '../../src/graph/graph.ts'
import { constant, input, parameter } from '../../src/graph/leaf.ts'
import { makeNode } from '../../src/graph/node.ts'
import { print } from '../../src/graph/print.ts'
import { withScope } from '../../src/graph/scope.ts'
import type { AnyTensor, Tensor } from '../../src/graph/tensor.ts'
import { add, grad, mul, neg, relu, reshape, sub, sum } from '../../src/ops/index.ts'

const vector = (name: string): AnyTensor => input(name, 'float32', [3])

describe('equal nodes are one node', () => {
  test('the same op on the same inputs gives the same tensor', () => {
    const [x, y] = [vector('x'), vector('y')]
    expect(add(x, y)).toBe(add(x, y))
    expect(add(x, y)).not.toBe(add(y, x))
    expect(add(x, y)).not.toBe(sub(x, y))
  })

  test('attributes tell nodes apart', () => {
    const x = input('x', 'float32', [4, 6])
    expect(sum(x, [0])).toBe(sum(x, 0))
    expect(sum(x, 0)).not.toBe(sum(x, 1))
    expect(sum(x, 0)).not.toBe(sum(x, 0, true))
  })

  test('constants are told apart by value, dtype and shape', () => {
    expect(constant([1, 2], 'float32', [2])).toBe(constant([1, 2], 'float32', [2]))
    expect(constant([1, 2], 'float32', [2])).not.toBe(constant([1, 3], 'float32', [2]))
    expect(constant(1, 'float32', [])).not.toBe(constant(1, 'float64', []))
    expect(constant(1, 'float32', [])).not.toBe(constant(1, 'float32', [1]))
  })

  test('two inputs of one name, and two parameters alike, stay two', () => {
    expect(vector('x')).not.toBe(vector('x'))
    const zeros = () => parameter([3], { kind: 'constant', value: 0 })
    expect(zeros()).not.toBe(zeros())
  })

  test('a layer that repeats the work of another shares its node and name', () => {
    const x = vector('x')
    const first = withScope('a', () => relu(x))
    expect(withScope('b', () => relu(x))).toBe(first)
    expect(first.node.scope).toBe('a')
  })
})

describe('rewriting', () => {
  const x = vector('x')
  const graph = (y: Tensor) => ({ inputs: { x }, parameters: {}, outputs: { y } })

  test('a rule replaces nodes, and what reads them is rebuilt', () => {
    const before = graph(mul(neg(neg(x)), 2))
    const cancel = rewrite(before, (node, [inner]) =>
      node.op.type === 'Neg' && inner?.node.op.type === 'Neg' ? [inner.node.inputs[0]!] : undefined,
    )
    expect(print(cancel)).toMatchInlineSnapshot(`
      "input x:f32[3]
      v0:f32[3] = Mul(x, 2)
      return y=v0"
    `)
  })

  test('without changes the nodes stay the same objects', () => {
    const before = graph(relu(mul(x, 2)))
    expect(rewrite(before, () => undefined).outputs.y).toBe(before.outputs.y)
  })

  test('a rule that changes a type fails at the node that it replaces', () => {
    const before = graph(add(relu(x), x))
    const broken = () =>
      rewrite(before, node => (node.op.type === 'Relu' ? [constant(0, 'float32', [2])] : undefined))
    expect(broken).toThrowErrorMatchingInlineSnapshot(
      `[Error: internal: Relu of the graph, float32 [3], is replaced by float32 [2]]`,
    )
  })

  test('rebuilt nodes keep the scope of those that they replace', () => {
    const old = vector('x')
    const y = withScope('blocks.0', () => relu(mul(old, 3)))
    const { y: replaced } = substitute(graph(y), new Map([[old, x]]))
    expect(replaced!.node.scope).toBe('blocks.0')
  })

  test('a leaf of a symbolic size is replaced by one of a known size, and types follow', () => {
    const symbolic = input('x', 'float32', ['batch', 4])
    const y = reshape(relu(symbolic), [-1])
    expect(y.shape).toEqual(['batch*4'])
    const known = input('x', 'float32', [8, 4])
    const outputs = substitute(
      { inputs: {}, parameters: {}, outputs: { y: relu(symbolic) } },
      new Map([[symbolic, known]]),
    )
    expect(outputs.y!.shape).toEqual([8, 4])
  })
})

test('users of a tensor are named once each', () => {
  const x = vector('x')
  const y = add(mul(x, x), x)
  const users = usersOf(postorder([y]))
  expect(users.get(x)!.map(n => n.op.type)).toEqual(['Mul', 'Add'])
})

test('graphs of 10,000 nodes are differentiated, rewritten and written without a deep stack', () => {
  const x = vector('x')
  let y: AnyTensor = x
  for (let i = 0; i < 10_000; i++) y = mul(y, 1 + i)
  const [dx] = grad(sum(y), [x])
  const graph = { inputs: { x }, parameters: {}, outputs: { y, dx: dx! } }
  // Forward, backward, the expanded 1, their constants and the input.
  expect(nodesOf(graph).length).toBeGreaterThan(30_000)
  const other = vector('other')
  const [rewritten] = Object.values(substitute(graph, new Map([[x, other]])))
  expect(postorder([rewritten!])).toContain(other.node)
  expect(lower(graph, { name: 'deep' }).length).toBeGreaterThan(10_000)
})

test('makeNode gives a node of its own when it is told to', () => {
  const x = vector('x')
  const { op, inputs, attrs } = relu(x).node
  expect(makeNode(op, inputs, attrs)).toBe(relu(x).node)
  expect(makeNode(op, inputs, attrs, null)).not.toBe(relu(x).node)
})
