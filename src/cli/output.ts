import { plainLines } from '../graph/printable.ts'

/** Whether the caller asked for machine-readable output; set once by the program. */
let json = false
export const useJson = (on: boolean): void => {
  json = on
}

/** A line for people: stdout, or stderr when stdout is kept for JSON. */
export const say = (line = ''): void => {
  ;(json ? process.stderr : process.stdout).write(`${plainLines(line)}\n`)
}

/** A line that must be seen but is no result: always stderr. */
export const note = (line: string): void => {
  process.stderr.write(`${plainLines(line)}\n`)
}

/** The verb's result: one JSON object as the last line on stdout, under --json only. */
export const result = (value: object): void => {
  if (json) process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** Columns padded to their widest cell; numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [head, ...rows].map(row =>
    row.map(c => (typeof c === 'number' ? c.toLocaleString('en-US') : c)),
  )
  const widths = head.map((_, i) => Math.max(...cells.map(row => row[i]?.length ?? 0)))
  const right = head.map(
    (_, i) => rows.length > 0 && rows.every(row => typeof row[i] === 'number' || row[i] === ''),
  )
  const line = (row: readonly string[]) =>
    row
      .map((c, i) => (right[i] ? c.padStart(widths[i]!) : c.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd()
  const [first, ...rest] = cells.map(line)
  return [first, widths.map(w => '─'.repeat(w)).join('  '), ...rest].join('\n')
}

export const percent = (share: number): string => `${(100 * share).toFixed(2)} %`

export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  const h = Math.floor(whole / 3600)
  const m = Math.floor((whole % 3600) / 60)
  return h ? `${h} h ${m} min` : `${m} min ${whole % 60} s`
}
