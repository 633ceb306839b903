import { describe, expect, test } from 'vitest'
import { ShapeError } from '../../src/graph/errors.ts'
import { input } from '../../src/graph/leaf.ts'
import { matchShape } from '../../src/graph/pattern.ts'
import { type Dim, UNKNOWN } from '../../src/graph/shape.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { layer } from '../../src/nn/layer.ts'
import { linear } from '../../src/nn/layers.ts'
import { namedParameters } from '../../src/nn/parts.ts'
import { add, reshape } from '../../src/ops/index.ts'

const f32 = (...shape: Dim[]): AnyTensor => input('x', 'float32', shape)

describe('a pattern', () => {
  test.each<[pattern: Dim[], shape: Dim[], bound: Record<string, Dim>]>([
    [['B', 'T', 64], ['batch', 17, 64], { B: 'batch', T: 17 }],
    [['B', 'T'], ['T', 'past+seq'], { B: 'T', T: 'past+seq' }],
    [['N', 'N'], [17, 17], { N: 17 }],
    [['N', 'N'], [UNKNOWN, 17], { N: 17 }],
    [['N', 'N'], ['n', UNKNOWN], { N: 'n' }],
    [['B', 64], [UNKNOWN, UNKNOWN], { B: UNKNOWN }],
    [[], [], {}],
  ])('%j matches %j', (pattern, shape, bound) => {
    expect(Object.fromEntries(matchShape('layer', pattern, shape))).toEqual(bound)
  })

  test.each<[pattern: Dim[], shape: Dim[], message: string]>([
    [['B', 'T', 64], ['batch', 17, 65], 'layer: [batch,17,65] does not match [B,T,64]'],
    [['B', 'T', 64], ['batch', 17, 'n'], 'layer: [batch,17,n] does not match [B,T,64]'],
    [['B', 'T', 64], [UNKNOWN, 64], 'layer: [?,64] does not match [B,T,64]'],
    [['N', 'N'], [17, 18], 'layer: [17,18] does not match [N,N]'],
    [['N', 'N', 'N'], [17, UNKNOWN, 18], 'layer: [17,?,18] does not match [N,N,N]'],
    [['N', 'N'], ['n', 17], 'layer: [n,17] does not match [N,N]'],
    [[], [1], 'layer: [1] does not match []'],
  ])('%j does not match %j', (pattern, shape, message) => {
    expect(() => matchShape('layer', pattern, shape)).toThrow(new ShapeError(message))
  })

  test.each<[dim: Dim]>([['B*2'], ['B+1'], ['2'], [''], [UNKNOWN], [1.5]])('has no dim %j', dim => {
    const make = (other: Dim) => layer({}, ['B', other], (_, x) => x)
    expect(() => make(dim)).toThrow(
      new ShapeError(`layer: dim ${dim} of pattern [B,${dim}] is neither a size nor a name`),
    )
    expect(make('B2')(f32(3, 4)).shape).toEqual([3, 4])
    expect(make(0)(f32(3, 0)).shape).toEqual([3, 0])
  })
})

describe('a layer with a pattern', () => {
  test('runs its body with the dims of its caller, and not at all for other shapes', () => {
    const seen: unknown[] = []
    const block = layer({}, ['B', 'T', 4], (_, x) => {
      seen.push(x.shape)
      return reshape(x, [x.shape[0], -1])
    })
    expect(block(f32('batch', 3, 4)).shape).toEqual(['batch', 12])
    expect(block(f32(2, 'T', 4)).shape).toEqual([2, 'T*4'])
    expect(() => block(f32(2, 3, 5))).toThrow(new ShapeError('layer: [2,3,5] does not match [B,T,4]'))
    expect(seen).toEqual([
      ['batch', 3, 4],
      [2, 'T', 4],
    ])
  })

  test('has its parts as properties, and names its parameters and nodes by where it stands', () => {
    const inner = layer({ fc: linear(4, 4) }, ['B', 4], (self, x) => self.fc(x))
    const outer = layer({ inner, fc: linear(4, 2) }, ['B', 4], (self, x) => self.fc(add(x, self.inner(x))))
    expect([...namedParameters(outer).keys()]).toEqual([
      'inner.fc.weight',
      'inner.fc.bias',
      'fc.weight',
      'fc.bias',
    ])
    expect(outer.inner.fc.weight.shape).toEqual([4, 4])
    expect(inner(f32(3, 4)).node.scope).toBe('inner.fc')
    expect(outer(f32(3, 4)).shape).toEqual([3, 2])
  })

  test('gives its results as its body does', () => {
    const many = layer({}, ['B', 4], (_, x) => ({ list: [x, reshape(x, [-1])], nested: { x }, n: 3 }))
    const x = f32(2, 4)
    const { list, nested, n } = many(x)
    expect(list.map(t => t.shape)).toEqual([[2, 4], [8]])
    expect(nested.x).toBe(x)
    expect(n).toBe(3)
  })
})
