import { expect, test } from 'vitest'
import { ShapeError, UserError } from '../../src/graph/errors.ts'
import { printable } from '../../src/graph/printable.ts'

test('what an error quotes of a file reaches a terminal as one line of text', () => {
  const name = 'a\u001b[2J\u0007b\r\n  c\u202ed\u2028e'
  expect(new UserError(`${name} is no picture`).message).toBe('a�[2J�b c�d�e is no picture')
  expect(new ShapeError(name).message).not.toMatch(/\p{Cc}/u)
})

test('a message is cut where it would not end', () => {
  expect(new UserError('x'.repeat(1e6)).message.length).toBeLessThan(5000)
  expect(printable('abcdef', 3)).toBe('abc…')
  expect(printable('abc', 3)).toBe('abc')
})

test('an error keeps its cause', () => {
  const cause = new Error('why')
  expect(new UserError('what', { cause }).cause).toBe(cause)
})
