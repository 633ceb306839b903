import { describe, expect, test } from 'vitest'
import { ShapeError } from '../../src/graph/errors.ts'
import * as shapes from '../../src/graph/shape.ts'
import { UNKNOWN } from '../../src/graph/shape.ts'

/** The message that a rule throws. */
function message(rule: () => unknown): string {
  try {
    rule()
  } catch (error) {
    if (error instanceof ShapeError) return error.message
    throw error
  }
  return 'no error'
}

describe('symbolic dims', () => {
  test('multiply from left to right with the literal last, and add likewise', () => {
    expect(shapes.product(['batch', 17])).toBe('batch*17')
    expect(shapes.product([2, 'b', 3, 'a*5'])).toBe('b*a*30')
    expect(shapes.product(['b', 1])).toBe('b')
    expect(shapes.product(['b', 0])).toBe(0)
    expect(shapes.sum([1, 'past', 'seq', 2])).toBe('past+seq+3')
    expect(shapes.sum(['b', 0])).toBe('b')
    expect(shapes.sum(['past+1', 'n*2', shapes.sum(['seq', 2])])).toBe('past+n*2+seq+3')
  })

  test('are unknown beside an unknown, and where a sum would have to be multiplied out', () => {
    expect(shapes.product(['b', UNKNOWN])).toBe(UNKNOWN)
    expect(shapes.sum(['b', UNKNOWN])).toBe(UNKNOWN)
    expect(shapes.product(['past+seq', 4])).toBe(UNKNOWN)
    expect(shapes.product(['past+seq'])).toBe('past+seq')
    expect(shapes.product(['b*2+1', 'n'])).toBe(UNKNOWN)
  })
})

describe('reshape', () => {
  const reshape = (from: shapes.Shape, target: shapes.Shape) => shapes.reshape('reshape', from, target)

  test('cancels what both sides have and divides the rest', () => {
    expect(reshape(['batch', 17, 64], ['batch', 17, 4, 16])).toEqual(['batch', 17, 4, 16])
    expect(reshape(['batch', 17, 64], [-1, 64])).toEqual(['batch*17', 64])
    expect(reshape(['batch*17', 64], ['batch', -1, 32])).toEqual(['batch', 34, 32])
    expect(reshape(['a', 'b'], ['b', -1])).toEqual(['b', 'a'])
    expect(reshape(['past+seq', 4], [2, 'past+seq', -1])).toEqual([2, 'past+seq', 2])
  })

  test('leaves unknown what only the run time can divide', () => {
    expect(reshape(['b', 3], [-1, 2])).toEqual([UNKNOWN, 2])
    expect(reshape(['past+seq', 4], [-1])).toEqual([UNKNOWN])
    expect(reshape([UNKNOWN, 3], [-1, 2])).toEqual([UNKNOWN, 2])
  })

  test('takes empty tensors to empty tensors only', () => {
    expect(reshape([0, 3], [5, 0])).toEqual([5, 0])
    expect(reshape(['b', 0], ['b', -1])).toEqual(['b', 0])
    expect(message(() => reshape([0, 3], [3]))).toMatch('does not fit')
    expect(message(() => reshape([4], [0, -1]))).toMatch('does not fit')
  })

  test('refuses dims that are no sizes, also where their product would be right', () => {
    expect(message(() => reshape([4], [-2, -2]))).toBe('reshape: dim -2 of [-2,-2] is not a size')
    expect(message(() => reshape([3], [1.5, 2]))).toBe('reshape: dim 1.5 of [1.5,2] is not a size')
  })
})

test('a slice has as many elements as the range that Python would walk through', () => {
  for (let n = 0; n <= 5; n++)
    for (let start = -7; start <= 7; start++)
      for (let end = -7; end <= 7; end++)
        for (const step of [1, 2, 3, -1, -2, -3]) {
          const from = start < 0 ? start + n : start
          const to = end < 0 ? end + n : end
          const picked: number[] = []
          // The first index inside, then steps until one is outside or past the end.
          const first = step > 0 ? Math.max(from, 0) : Math.min(from, n - 1)
          for (let i = first; i >= 0 && i < n && (step > 0 ? i < to : i > to); i += step) picked.push(i)
          expect(shapes.slice('slice', [n], [0], [start], [end], [step])).toEqual([picked.length])
          if (picked.length) expect(shapes.sliceRange(n, start, end, step).start).toBe(picked[0])
        }
})

test('axes are all when left out, none when the list is empty', () => {
  expect(shapes.axesOf('sum', undefined, 3)).toEqual([0, 1, 2])
  expect(shapes.axesOf('sum', [], 3)).toEqual([])
  expect(shapes.axesOf('sum', [-1, 0], 3)).toEqual([0, 2])
  expect(shapes.reduce('sum', ['b', 3], [], false)).toEqual(['b', 3])
  expect(shapes.reduce('sum', ['b', 3], undefined, true)).toEqual([1, 1])
})

test('broadcasting names the last two dims that do not fit', () => {
  expect(shapes.broadcast('add', [1, 'b', UNKNOWN], ['b', 3])).toEqual([1, 'b', 3])
  expect(message(() => shapes.broadcast('add', [2, 3], [4, 5]))).toBe(
    'add: dims 3 and 5 of [2,3] and [4,5] do not broadcast',
  )
  expect(message(() => shapes.matmul('matmul', [2, 4, 5], [3, 5, 6]))).toBe(
    'matmul: leading dims 2 and 3 of [2,4,5] and [3,5,6] do not broadcast',
  )
})

test('an expansion gives exactly the target', () => {
  expect(shapes.expand('expand', [3, 1], [2, 3, 4])).toEqual([2, 3, 4])
  expect(shapes.expand('expand', [UNKNOWN, 'b'], [1, 'b'])).toEqual([1, 'b'])
  expect(message(() => shapes.expand('expand', [2, 3], [3]))).toBe('expand: [2,3] does not expand to [3]')
  expect(message(() => shapes.expand('expand', [2], [-3]))).toBe('expand: dim -3 of [-3] is not a size')
})

test('dims of size 1 are taken away and put in at the named places only', () => {
  expect(shapes.squeeze('squeeze', [1, 'b', 1, UNKNOWN], [0, -1])).toEqual(['b', 1])
  expect(shapes.unsqueeze('unsqueeze', ['b', 3], [0, -1])).toEqual([1, 'b', 3, 1])
  expect(message(() => shapes.squeeze('squeeze', ['b', 2], [1]))).toBe(
    'squeeze: dim 2 at axis 1 of [b,2] is not 1',
  )
})

test('one element is selected only where there is one', () => {
  expect(shapes.select('select', ['b', 3, 4], -2, -3)).toEqual(['b', 4])
  expect(shapes.select('select', ['b', 3], 0, 99)).toEqual([3])
  expect(message(() => shapes.select('select', ['b', 3], 1, -4))).toBe(
    'select: index -4 is out of range for dim 3 of [b,3]',
  )
  expect(message(() => shapes.select('select', [0], 0, 0))).toMatch('out of range')
})

test('parts and sizes of a split are whole numbers that add up', () => {
  expect(shapes.equalParts('split', ['b', 6], -1, 3)).toEqual([2, 2, 2])
  expect(shapes.split('split', ['b', 6], 1, [6, 0])).toEqual([
    ['b', 6],
    ['b', 0],
  ])
  expect(message(() => shapes.equalParts('split', [6], 0, 0))).toBe('split: cannot split into 0 parts')
  expect(message(() => shapes.equalParts('split', [6], 0, -2))).toBe('split: cannot split into -2 parts')
  expect(message(() => shapes.split('split', [6], 0, [-1, 7]))).toBe(
    'split: sizes [-1,7] must be whole numbers of at least 0',
  )
})

test('attention broadcasts leading dims of its three operands', () => {
  expect(shapes.attention('attention', [4, 5, 8], ['b', 1, 7, 8], [7, 3])).toEqual(['b', 4, 5, 3])
  expect(message(() => shapes.attention('attention', [2, 5, 8], [7, 8], [3, 7, 3]))).toBe(
    'attention: leading dims 2 and 3 of q [2,5,8], k [7,8] and v [3,7,3] do not broadcast',
  )
})

test('a layer norm covers the last dims, a linear layer one', () => {
  expect(() => shapes.layerNorm('layerNorm', ['b', 17, 64], [17, 64], [17, 64])).not.toThrow()
  expect(message(() => shapes.layerNorm('layerNorm', [64], []))).toMatch('weight [] does not fit')
  expect(message(() => shapes.layerNorm('layerNorm', [64], [3, 64]))).toMatch('weight [3,64] does not fit')
  expect(shapes.linear('linear', [64], [10, 64], [10])).toEqual([10])
  expect(message(() => shapes.linear('linear', [], [10, 64]))).toBe('linear: x of [] needs at least 1 dim')
})
