import { plainJson, plainLines, printable } from '../graph/printable.ts'
import { padEnd, padStart, widthOf } from './text.ts'

/** Whether the caller asked for machine-readable output; set once by the program. */
let json = false
export const useJson = (on: boolean): void => {
  json = on
}

/** One line, whatever comes from files within it; line breaks in front of it and behind it stay. */
function lineOf(text: string): string {
  const [, before, line = '', after] = /^(\n*)(.*?)(\n*)$/s.exec(text) ?? []
  return `${before}${printable(line, Number.POSITIVE_INFINITY)}${after}\n`
}

const write = (text: string): void => {
  ;(json ? process.stderr : process.stdout).write(text)
}

/** A line for people: stdout, or stderr when stdout is kept for JSON. */
export const say = (line = ''): void => write(lineOf(line))

/** Lines for people, such as a table. What comes from files must not break them: `table` and `facts` see to it. */
export const sayLines = (lines: string): void => write(`${plainLines(lines)}\n`)

/** A line that must be seen but is no result: always stderr. */
export const note = (line = ''): void => {
  process.stderr.write(lineOf(line))
}

/**
 * The verb's result: one JSON object as the last line on stdout, under --json only. Its texts are whole, as
 * data are, and in escapes where a terminal would act on them.
 */
export const result = (value: object): void => {
  if (json) process.stdout.write(`${plainJson(JSON.stringify(value))}\n`)
}

/** Columns padded to their widest cell; numbers to the right. Each row is one line, whatever is in its cells. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [head, ...rows].map(row =>
    row.map(c => (typeof c === 'number' ? c.toLocaleString('en-US') : printable(c, LONGEST_CELL))),
  )
  const widths = head.map((_, i) => Math.max(...cells.map(row => widthOf(row[i] ?? ''))))
  const right = head.map(
    (_, i) => rows.length > 0 && rows.every(row => typeof row[i] === 'number' || row[i] === ''),
  )
  const line = (row: readonly string[]) =>
    row
      .map((c, i) => (right[i] ? padStart(c, widths[i]!) : padEnd(c, widths[i]!)))
      .join('  ')
      .trimEnd()
  const [first, ...rest] = cells.map(line)
  return [first, widths.map(w => '─'.repeat(w)).join('  '), ...rest].join('\n')
}

/** Of a failure's message, a good part. */
const LONGEST_CELL = 400

export const percent = (share: number): string => `${(100 * share).toFixed(2)} %`

export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  const h = Math.floor(whole / 3600)
  const m = Math.floor((whole % 3600) / 60)
  return h ? `${h} h ${m} min` : `${m} min ${whole % 60} s`
}
