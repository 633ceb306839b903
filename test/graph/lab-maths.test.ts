import { expect, test } from 'vitest'
import {
  argmax,
  cosines,
  cut,
  meanOfHeads,
  mixing,
  norms,
  rollout,
  softmax,
  spread,
} from '../../lab/src/see/maths.ts'

const numbers = (...values: number[]) => Float32Array.from(values)
const near = (got: Float32Array, expected: readonly number[]) => {
  expect(got).toHaveLength(expected.length)
  for (const [i, v] of got.entries()) expect(v).toBeCloseTo(expected[i]!, 6)
}

/** Row `token` of the product. */
const reaching = (attention: readonly Float32Array[], token: number) =>
  rollout(
    attention.map(maps => mixing(maps, 2)),
    numbers(...[0, 1].map(i => (i === token ? 1 : 0))),
  )

test("rollout multiplies the blocks' mean attention, each mixed half and half with the token itself", () => {
  // Heads [1 0; 0 1] and [0 1; 0.5 0.5]: their mean is [½ ½; ¼ ¾], with the residual [¾ ¼; ⅛ ⅞].
  const first = numbers(1, 0, 0, 1, 0, 1, 0.5, 0.5)
  near(mixing(first, 2), [3 / 4, 1 / 4, 1 / 8, 7 / 8])
  // One head [0 1; 1 0]: with the residual [½ ½; ½ ½].
  const second = numbers(0, 1, 1, 0)
  // [½ ½; ½ ½] · [¾ ¼; ⅛ ⅞]
  for (const token of [0, 1]) near(reaching([first, second], token), [7 / 16, 9 / 16])
})

test('the order of the blocks counts: the last one multiplies from the left', () => {
  // With the residual [½ ½; 0 1], then [1 0; ½ ½].
  const blocks = [numbers(0, 1, 0, 1), numbers(1, 0, 1, 0)]
  // [1 0; ½ ½] · [½ ½; 0 1] = [½ ½; ¼ ¾], and not the other way round, which were [¾ ¼; ½ ½].
  near(reaching(blocks, 0), [1 / 2, 1 / 2])
  near(reaching(blocks, 1), [1 / 4, 3 / 4])
})

test('a rollout from several tokens is the mean of theirs', () => {
  const blocks = [numbers(0, 1, 0, 1), numbers(1, 0, 1, 0)].map(maps => mixing(maps, 2))
  near(rollout(blocks, numbers(0.5, 0.5)), [3 / 8, 5 / 8])
})

test('rows of a mixing sum to 1, also where those of the attention do not quite', () => {
  near(mixing(numbers(0.2, 0.2, 0.6, 0.6), 2), [0.6 / 0.7, 0.1 / 0.7, 0.3 / 1.1, 0.8 / 1.1])
})

test('heads are averaged element by element', () => {
  near(meanOfHeads(numbers(1, 2, 3, 4, 3, 2, 1, 0), 2), [2, 2, 2, 2])
})

test('cosines: 1 with itself, 0 at a right angle and with nothing, −1 with its opposite', () => {
  const data = numbers(3, 4, -4, 3, -6, -8, 0, 0)
  near(cosines(data, 4), [1, 0, -1, 0, 0, 1, 0, 0, -1, 0, 1, 0, 0, 0, 0, 0])
  near(norms(data, 4), [5, 5, 10, 0])
})

test('an image is cut square by square, and each square keeps its channels together', () => {
  // Two channels of 2 × 4: 0 … 7 and 10 … 17.
  const pixels = numbers(0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17)
  near(cut(pixels, [2, 2, 4], 2), [0, 1, 4, 5, 10, 11, 14, 15, 2, 3, 6, 7, 12, 13, 16, 17])
})

test('softmax: e¹ : e² : e³ whatever is added, and no overflow', () => {
  const e = [1, 2, 3].map(Math.exp)
  const sum = e.reduce((a, b) => a + b)
  for (const base of [0, 1000, -1000])
    near(
      softmax(numbers(base + 1, base + 2, base + 3)),
      e.map(v => v / sum),
    )
  expect(argmax(numbers(1, 3, 2))).toBe(1)
})

test('spread values reach from 0 to 1, and equal ones stay 0', () => {
  near(spread(numbers(3, 5, 4)), [0, 1, 0.5])
  near(spread(numbers(2, 2)), [0, 0])
})
