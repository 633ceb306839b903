import { printable } from '../graph/printable.ts'

/** Bytes with three digits or more: `576.5 kB`, `346.3 MB`. */
export function byteSize(bytes: number): string {
  const at = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), 3)
  return at ? `${(bytes / 1000 ** at).toFixed(1)} ${['kB', 'MB', 'GB'][at - 1]}` : `${bytes} bytes`
}

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
