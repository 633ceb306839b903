import { expect, test } from 'vitest'
import { ShapeError, UserError } from '../../src/graph/errors.ts'
import { plainLines, printable } from '../../src/graph/printable.ts'

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

test('of text in lines, lines and columns stay', () => {
  expect(plainLines('a\tb\r\nc\u001b[2J\rd\u202e… é 数 👍')).toBe('a\tb\nc�[2J�d�… é 数 👍')
})

test('an error keeps its cause', () => {
  const cause = new Error('why')
  expect(new UserError('what', { cause }).cause).toBe(cause)
})
