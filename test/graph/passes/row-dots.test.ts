import { expect, test } from 'vitest'
import { print } from '../../../src/graph/print.ts'
import { rowDots } from '../../../src/passes/row-dots.ts'
import { simplify } from '../../../src/passes/simplify.ts'
import { ROW_DOTS } from './attention-examples.ts'

const overTokens = (text: string) => text.split('\n').filter(line => line.includes('f32[2,7,7] = Mul')).length

test("softmax's gradient multiplies the features of a head, not the tokens, for its row sums", () => {
  const before = simplify(ROW_DOTS[0]!.build())
  expect(overTokens(print(before)) - overTokens(print(rowDots(before)))).toBe(1)
})
