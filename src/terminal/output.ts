import { closeSync, openSync } from 'node:fs'
import { isatty } from 'node:tty'
import { codeOf, reason } from '../data/files-node.ts'
import { nth } from '../graph/present.ts'
import { plainJson, plainLines, printable } from '../graph/printable.ts'
import { padEnd, padStart, widthOf } from './text.ts'

let json = false
let verb = ''
/** Says which verb runs, and whether the caller asked for machine-readable output. */
export const printFor = (name: string, asJson: boolean): void => {
  verb = name
  json = asJson
}

/** Why results were lost that somebody was waiting for; a reader that has ended was not. */
let lost: unknown
const READER_GONE = ['EPIPE', 'EIO']

/** Verbs whose results are files, or a server: what they print can be lost without harm. */
const SAVING = ['train', 'tune', 'export', 'report', 'serve']

/**
 * Keeps output that cannot be written from ending the program: the rest of it is dropped, and work continues. Where results
 * were lost, other than to a reader that has ended, the program says so at its end and fails.
 */
export function guardOutput(): void {
  process.stderr.on('error', () => {})
  process.stdout.on('error', error => {
    if (!READER_GONE.includes(codeOf(error))) lost ??= error
  })
  const terminals = [0, 1, 2].filter(isatty)
  process.on('exit', code => {
    if (lost && code === 0 && !SAVING.includes(verb)) {
      note(`onnxgrad: the output cannot be written: ${reason(lost)}`)
      process.exitCode = 1
    }
    // Node before 24.1 aborts at its end where it cannot reset a terminal that it was started in.
    for (const fd of terminals.filter(fd => !isatty(fd))) {
      closeSync(fd)
      openSync('/dev/null', 'r+')
    }
  })
}

/** One line, whatever comes from files within it; line breaks in front of it and behind it stay. */
function lineOf(text: string): string {
  const [, before, line = '', after] = /^(\n*)(.*?)(\n*)$/s.exec(text) ?? []
  return `${before}${printable(line, Number.POSITIVE_INFINITY)}${after}\n`
}

let clearLive = () => {}
/** Says how to take away a progress bar that is being drawn. What is printed then starts on a clean line. */
export const showLive = (clear: () => void): void => {
  clearLive = clear
}

const write = (text: string): void => {
  clearLive()
  ;(json ? process.stderr : process.stdout).write(text)
}

/** A line for people: stdout, or stderr when stdout is kept for JSON. */
export const say = (line = ''): void => write(lineOf(line))

/** Lines for people, such as a table. What comes from files must not break them: `table` and `facts` see to it. */
export const sayLines = (lines: string): void => write(`${plainLines(lines)}\n`)

/** A line that must be seen but is no result: always stderr. */
export const note = (line = ''): void => {
  clearLive()
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
      .map((c, i) => (right[i] ? padStart(c, nth(widths, i)) : padEnd(c, nth(widths, i))))
      .join('  ')
      .trimEnd()
  const [first, ...rest] = cells.map(line)
  return [first, widths.map(w => '─'.repeat(w)).join('  '), ...rest].join('\n')
}

/** Of a failure's message, a good part. */
const LONGEST_CELL = 400

export const percent = (share: number): string => `${(100 * share).toFixed(2)} %`

/** A loss or metric: accuracies as a percentage; nothing where it was not measured. */
export function figure(name: string, value: number | undefined): string {
  if (value === undefined) return ''
  return /accuracy$/i.test(name) ? percent(value) : value.toFixed(4)
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  const h = Math.floor(whole / 3600)
  const m = Math.floor((whole % 3600) / 60)
  return h ? `${h} h ${m} min` : `${m} min ${whole % 60} s`
}
