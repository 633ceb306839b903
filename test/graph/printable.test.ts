import { expect, test } from 'vitest'
import { ShapeError, UserError } from '../../src/graph/errors.ts'
import { plainJson, plainLines, printable, shownName } from '../../src/graph/printable.ts'

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

test('no character is cut in two', () => {
  expect(printable('ab👨‍👩‍👧‍👦cd', 5)).toBe('ab…')
  expect(printable('ab👨‍👩‍👧‍👦cd', 13)).toBe('ab👨‍👩‍👧‍👦…')
  expect(printable('😀😀', 3)).toBe('😀…')
  expect(printable('ae\u0301', 2)).toBe('a…')
  // One that does not end is.
  expect(printable(`e${'\u0301'.repeat(1000)}`, 10)).toBe(`e${'\u0301'.repeat(9)}…`)
})

test('scripts of all kinds stay as they are written', () => {
  for (const text of [
    ...[
      'قطة',
      'שלום',
      '漢字',
      'ñandú',
      'e\u0301',
      'Ελλάδα',
      'ไทย',
      '한국어',
      '٥\u0600',
      'naïve café',
      '½ → ∞',
    ],
    // Joiners and non-joiners: Persian, Hindi, Malayalam.
    ...['می\u200cخواهم', 'क्\u200dष', 'ന്\u200d'],
    // Emoji of several parts: skin tones, families, flags, variants.
    ...['👩🏽\u200d🔬', '👨\u200d👩\u200d👧', '🏳️\u200d🌈', '❤️\u200d🔥', '🏴󠁧󠁢󠁳󠁣󠁴󠁿', '🇩🇪', '1️⃣'],
  ])
    expect(printable(text)).toBe(text)
})

test('what is not seen, or turns the direction of other text, does not', () => {
  const UNSEEN = [
    // Controls: of ASCII, of which terminals take orders, and of Latin-1, which some take too.
    ...['\u0000', '\u0007', '\b', '\t', '\n', '\r', '\u001b', '\u007f', '\u0085', '\u009b', '\u009d'],
    ...['\u2028', '\u2029', '\ud800', '\udc00'],
    // Directions: marks, embeddings, overrides, isolates.
    ...['\u061c', '\u200e', '\u200f', '\u202a', '\u202b', '\u202c', '\u202d', '\u202e'],
    ...['\u2066', '\u2067', '\u2068', '\u2069'],
    ...['\u00ad', '\u180e', '\u200b', '\u2060', '\u2064', '\ufeff', '\ufff9', '\u{e0041}', '\u{1d173}'],
    // Joiners that join nothing.
    ...['\u200c', '\u200d'],
  ]
  for (const unseen of UNSEEN) {
    const code = unseen.codePointAt(0)!.toString(16)
    expect([code, printable(`a ${unseen} b`)]).toEqual([code, 'a � b'])
  }
  expect(printable('x\u200d\u200dy')).toBe('x��y')
  // Text in the tags of a flag that is none.
  const tags = [...'attack at dawn'].map(c => String.fromCodePoint(0xe0000 + c.charCodeAt(0))).join('')
  expect(printable(`🏴${tags}`, 1000)).toContain('�'.repeat(7))
})

test('of text in lines, lines and columns stay', () => {
  expect(plainLines('a\tb\r\nc\u001b[2J\rd\u202e… é 数 👍')).toBe('a\tb\nc�[2J�d�… é 数 👍')
})

test('a name of which nothing would be seen is shown as in a program', () => {
  expect(['', ' ', '\n', '\t', '\u200b', '\u3164', '\u00a0'].map(name => shownName(name))).toEqual([
    ...['""', '" "', '"\\n"', '"\\t"', '"\\u200b"', '"\\u3164"', '"\\u00a0"'],
  ])
  expect(shownName('\u0007'.repeat(1000)).length).toBeLessThan(100)
  expect(shownName('a\nb')).toBe('a�b')
  expect(shownName('x'.repeat(100), 20)).toBe(`${'x'.repeat(20)}…`)
})

test('JSON says the same, and gives a terminal no orders', () => {
  const value = {
    'a\u009b\u202e': ['\u001b[31m', 'قطة', '\u{e0041}', '\u007f', '👩🏽\u200d🔬', '\u2028', '\ud800'],
  }
  const json = plainJson(JSON.stringify(value))
  expect(JSON.parse(json)).toEqual(value)
  expect(json).not.toMatch(/[\p{Cc}\p{Zl}]|\u202e|\u{e0041}/u)
  expect(json).toContain('قطة')
})

test('an error keeps its cause', () => {
  const cause = new Error('why')
  expect(new UserError('what', { cause }).cause).toBe(cause)
})
