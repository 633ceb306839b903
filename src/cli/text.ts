import stringWidth from 'string-width'
import { printable } from '../graph/printable.ts'

/** Columns that a text takes on a terminal: two for 漢 or 👍, none for a mark on a letter. */
export const widthOf = (text: string): number => stringWidth(text)

const blanks = (text: string, width: number): string => ' '.repeat(Math.max(0, width - widthOf(text)))

/** As those of strings, by the columns of a terminal. */
export const padStart = (text: string, width: number): string => blanks(text, width) + text
export const padEnd = (text: string, width: number): string => text + blanks(text, width)

/** Columns of the terminal; text that goes elsewhere is wrapped at a width that reads well. */
export const columns = (): number => process.stdout.columns ?? 100

/** Bytes with three digits or more: `576.5 kB`, `346.3 MB`. */
export function byteSize(bytes: number): string {
  const at = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), 3)
  return at ? `${(bytes / 1000 ** at).toFixed(1)} ${['kB', 'MB', 'GB'][at - 1]}` : `${bytes} bytes`
}

/** Lines of at most `width` columns, broken at spaces; a longer word stands alone. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && widthOf(last) + 1 + widthOf(word) <= width)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

/** Labelled texts below each other, wrapped beside their labels. */
export function facts(rows: readonly (readonly [label: string, text: string])[], width: number): string {
  const shown = rows.map(([label, text]) => [printable(label), printable(text, LONGEST_FACT)] as const)
  const indent = Math.max(...shown.map(([label]) => widthOf(label))) + 2
  return shown
    .flatMap(([label, text]) =>
      wrap(text, Math.max(width - indent, 20)).map((line, i) => padEnd(i ? '' : label, indent) + line),
    )
    .join('\n')
}

const LONGEST_FACT = 10_000

/** Longer lists are cut, deeper ones left out. */
const SHOWN = 16
const DEEPEST = 4

/** A JSON value of unknown origin in words: `mean 0.1307, std 0.3081`. */
export function inWords(value: unknown, key = '', depth = 0): string {
  if (typeof value === 'number') {
    if (/accuracy$/i.test(key) && value >= 0 && value <= 1) return `${(100 * value).toFixed(2)} %`
    return String(Number.isInteger(value) ? value : Number(value.toPrecision(6)))
  }
  if (typeof value !== 'object' || value === null) return printable(String(value), 400)
  if (depth === DEEPEST) return '…'
  if (Array.isArray(value) && !value.length) return 'none'
  const items = Array.isArray(value)
    ? value.map(v => inWords(v, '', depth + 1))
    : Object.entries(value).map(([k, v]) => `${printable(words(k))} ${inWords(v, k, depth + 1)}`)
  const more = items.length > SHOWN ? [`… (${items.length})`] : []
  return [...items.slice(0, SHOWN), ...more].join(', ')
}

/** `testAccuracy` → `test accuracy`. */
export const words = (key: string): string =>
  key.replace(/(?<=[a-z])([A-Z])/g, letter => ` ${letter.toLowerCase()}`)

/** The name of a flag with hyphens. */
export const kebab = (name: string): string => name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
