import { expect, test } from 'vitest'
import { input } from '../../src/graph/leaf.ts'
import * as shapes from '../../src/graph/shape.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import * as ops from '../../src/ops/index.ts'

const f32 = (...shape: shapes.Dim[]): AnyTensor => input('x', 'float32', shape)
const i64 = (...shape: shapes.Dim[]): AnyTensor => input('i', 'int64', shape)
const f64 = (...shape: shapes.Dim[]): AnyTensor => input('x', 'float64', shape)

// Each mistake is reported while the graph is built, with the op, the shapes and what to do.
const MISTAKES: Record<string, () => unknown> = {
  'operands that do not broadcast': () => ops.add(f32(2, 3), f32(2, 4)),
  'a symbol beside a size': () => ops.mul(f32('batch', 3), f32(8, 3)),
  'two dtypes': () => ops.mul(f32(2), f64(2)),
  'inner dims of a product': () => ops.matmul(f32(5, 7), f32(6, 3)),
  'a product of scalars': () => ops.matmul(f32(), f32(3)),
  'a weight that does not fit': () => ops.linear(f32(2, 7), f32(4, 6)),
  'a reshape to another size': () => ops.reshape(f32(2, 3), [4, 2]),
  // @ts-expect-error the compiler says it too
  'a reshape with two holes': () => ops.reshape(f32(2, 3), [-1, -1]),
  'a reshape that does not divide': () => ops.reshape(f32(2, 3), [-1, 4]),
  'no permutation': () => ops.transpose(f32(2, 3), [0, 0]),
  'an axis out of range': () => ops.sum(f32(2, 3), 2),
  'an axis named twice': () => ops.sum(f32(2, 3), [0, -2]),
  'ranks of a concatenation': () => ops.concat([f32(2, 3), f32(3)], 0),
  'dims of a concatenation': () => ops.concat([f32(2, 3), f32(2, 4)], 0),
  'a split into unequal parts': () => ops.split(f32(2, 7), 1, 3),
  'a split of another total': () => ops.split(f32(2, 7), 1, [3, 3]),
  'a split of a symbol': () => ops.split(f32('batch', 7), 0, [3, 4]),
  // @ts-expect-error the compiler says it too
  'a slice with step 0': () => ops.slice(f32(4), 0, 0, 4, 0),
  'a squeeze of a dim that is not 1': () => ops.squeeze(f32(2, 3), 0),
  'an expansion that shrinks': () => ops.expand(f32(2, 3), [2, 1]),
  'indices of floats': () => ops.gather(f32(9, 6), f32(4)),
  'indices that do not fit': () => ops.gatherElements(f32(4, 9), i64(5, 2), 1),
  'a condition of floats': () => ops.where(f32(3), f32(3), f32(3)),
  'a norm of another size': () => ops.layerNorm(f32(3, 8), f32(4), f32(4)),
  'groups that do not divide': () => ops.groupNorm(f32(2, 6, 4), 4, f32(6), f32(6)),
}

test.each(Object.entries(MISTAKES))('%s', (_, mistake) => {
  expect(mistake).toThrow(expect.objectContaining({ name: 'ShapeError' }))
})

test('the messages, one sentence each', () => {
  const messages = Object.entries(MISTAKES).map(([what, mistake]) => {
    try {
      mistake()
      return `${what} ⇒ no error`
    } catch (error) {
      return `${what} ⇒ ${(error as Error).message}`
    }
  })
  expect(messages.join('\n')).toMatchInlineSnapshot(`
    "operands that do not broadcast ⇒ add: dims 3 and 4 of [2,3] and [2,4] do not broadcast
    a symbol beside a size ⇒ mul: dims batch and 8 of [batch,3] and [8,3] do not broadcast
    two dtypes ⇒ mul: dtypes float32 and float64 differ; cast one of them
    inner dims of a product ⇒ matmul: inner dims 7 and 6 of [5,7] and [6,3] differ
    a product of scalars ⇒ matmul: operands [] and [3] need at least 1 dim
    a weight that does not fit ⇒ linear: inner dims 7 and 6 of [2,7] and weight [4,6] differ
    a reshape to another size ⇒ reshape: [2,3] does not fit into [4,2]
    a reshape with two holes ⇒ reshape: [-1,-1] has more than one -1
    a reshape that does not divide ⇒ reshape: [2,3] does not fit into [-1,4]
    no permutation ⇒ transpose: [0,0] is not a permutation of the 2 axes of [2,3]
    an axis out of range ⇒ sum: axis 2 is out of range for rank 2
    an axis named twice ⇒ sum: axes [0,-2] contain one axis twice
    ranks of a concatenation ⇒ concat: ranks of [2,3] and [3] differ
    dims of a concatenation ⇒ concat: dims 3 and 4 of [2,3] and [2,4] differ
    a split into unequal parts ⇒ split: dim 7 of [2,7] does not split into 3 equal parts
    a split of another total ⇒ split: sizes [3,3] add up to 6, not to dim 7 of [2,7]
    a split of a symbol ⇒ split: symbolic dim batch of [batch,7] cannot be split
    a slice with step 0 ⇒ slice: step of axis 0 is 0
    a squeeze of a dim that is not 1 ⇒ squeeze: dim 2 at axis 0 of [2,3] is not 1
    an expansion that shrinks ⇒ expand: [2,3] does not expand to [2,1]
    indices of floats ⇒ gather: indices must be int32 or int64, not float32
    indices that do not fit ⇒ gatherElements: indices [5,2] do not fit [4,9] along axis 1
    a condition of floats ⇒ where: condition: dtypes bool and float32 differ; cast one of them
    a norm of another size ⇒ layerNorm: weight [4] does not fit the last dims of [3,8]
    groups that do not divide ⇒ groupNorm: dim 6 of [2,6,4] does not split into 4 equal parts"
  `)
})

test('symbols and unknown sizes go through the rules', () => {
  const x = f32('batch', 17, 64)
  expect(ops.reshape(x, ['batch', 17, 4, 16]).shape).toEqual(['batch', 17, 4, 16])
  expect(ops.reshape(x, [-1, 64]).shape).toEqual(['batch*17', 64])
  expect(ops.matmul(x, f32(64, 5)).shape).toEqual(['batch', 17, 5])
  expect(ops.add(x, f32(1, 17, 1)).shape).toEqual(['batch', 17, 64])
  expect(ops.concat([x, x], 0).shape).toEqual(['batch+batch', 17, 64])
  expect(ops.slice(x, 0, 0, 2).shape).toEqual([shapes.UNKNOWN, 17, 64])
  expect(ops.gather(f32(10, 8), i64('batch', 4)).shape).toEqual(['batch', 4, 8])
  expect(ops.sum(x, [0, 2], true).shape).toEqual([1, 17, 1])
})

test('ops has functions for users alone: no primitives, no parts of other modules', () => {
  const parts = ['equalShape', 'productMacs', 'rows', 'hideFuture', 'layerNormPlain', 'sumTo', 'default']
  expect(Object.keys(ops).filter(name => /^[A-Z]/.test(name) || parts.includes(name))).toEqual([])
  expect(Object.values(ops).filter(value => typeof value !== 'function')).toEqual([])
  expect(Object.keys(ops)).toEqual(expect.arrayContaining(['add', 'sin', 'topK', 'grad']))
})
