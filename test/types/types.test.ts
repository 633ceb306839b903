import { describe, expect, test } from 'vitest'
import { UserError } from '../../src/graph/errors.ts'
import { cases } from './accepted.ts'
import { layers, patterns } from './accepted-layers.ts'
import * as lenet from './lenet.ts'
import { expected, generated, testCompiler } from './programs.ts'
import * as unet from './unet.ts'
import * as vit from './vit.ts'

// The older compiler: types.long.test.ts.
describe('TypeScript 7', () => testCompiler('TypeScript 7'))

describe('the run time', () => {
  test('builds what the compiler accepts, with the same dtypes and shapes', () => {
    for (const { x, dtype, shape } of [...cases(), ...layers(), ...patterns()]) {
      expect(x.dtype).toBe(dtype)
      expect(x.shape).toEqual(shape)
    }
  })

  test.each(expected)('refuses: $message', ({ message, program }) => {
    expect(program).toThrow(message)
    expect(program).toThrow(UserError)
  })

  test('builds the models with the shapes that the compiler knows', () => {
    expect(vit.logits.shape).toEqual(['batch', 10])
    expect(vit.shape).toEqual(vit.logits.shape)
    expect(lenet.shape).toEqual(['batch', 10])
    expect(unet.shapes).toEqual([
      ['batch', 2, 160, 96],
      ['batch', 1024, 10, 6],
    ])
  })
})

test.each(Object.entries(generated.counts))(
  'random arguments of %s are both right and wrong',
  (_, counts) => {
    expect(counts.accepted).toBeGreaterThan(1)
    expect(counts.refused).toBeGreaterThan(1)
  },
)
