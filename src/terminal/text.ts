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
