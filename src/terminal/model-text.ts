import type { Graph } from '../graph/graph.ts'
import { nth } from '../graph/present.ts'
import { printable } from '../graph/printable.ts'
import type { Dim, Shape } from '../graph/shape.ts'
import { UNKNOWN } from '../graph/shape.ts'
import type { SummaryRow } from '../graph/summary.ts'
import type { Port, Subject } from '../report/subject.ts'
import { byteSize } from '../report/words.ts'
import { table } from './output.ts'
import { columns } from './text.ts'

export const macsOf = (rows: readonly SummaryRow[]): number => rows.reduce((n, row) => n + row.macs, 0)

/** Symbols that a file's anonymous dims got are no names. */
const dimText = (d: Dim): string => (d === UNKNOWN ? '?' : String(d).replace(/\?\d+/g, '?'))
const shapeText = (shape: Shape | undefined): string =>
  shape ? `[${shape.map(dimText).join(', ')}]` : 'any shape'
export const dimRecord = (d: Dim): Dim | null => (dimText(d) === '?' ? null : d)
export const portRecord = ({ name, dtype, shape }: Port) => ({
  name,
  dtype,
  shape: shape?.map(dimRecord) ?? null,
})

/** Inputs and outputs as a table. */
export function ports({ inputs, outputs }: Subject): string {
  const rows = (kind: string, all: readonly Port[]) =>
    all.map(({ name, dtype, shape }) => [kind, name, dtype, shapeText(shape)])
  return table(['', 'name', 'dtype', 'shape'], [...rows('input', inputs), ...rows('output', outputs)])
}

/** The layer table; zeros are left blank, long names cut so that a line fits the terminal. */
export function layers(rows: readonly SummaryRow[], model: string, saved?: readonly number[]): string {
  const blank = (n: number) => n || ''
  const outputs = rows.map(row => shapeText(row.output))
  const room = columns() - Math.max(...outputs.map(o => o.length)) - (saved ? 42 : 32)
  return table(
    ['layer', 'output', 'parameters', 'MACs', ...(saved ? ['saved kB'] : [])],
    rows.map(({ name, depth, parameters, macs }, i) => [
      '  '.repeat(depth) + printable(depth ? name : model, Math.max(room - 2 * depth, 12)),
      nth(outputs, i),
      blank(parameters),
      blank(macs),
      ...(saved ? [blank(Math.round(nth(saved, i) / 1000))] : []),
    ]),
  )
}

/** Parameters and multiply–accumulates in one line. */
export function totals(
  { parameters, parameterBytes, graph }: Subject,
  rows: readonly SummaryRow[] | undefined,
): string {
  const size = `${parameters.toLocaleString('en-US')} parameters (${byteSize(parameterBytes)})`
  if (!rows || !graph) return size
  return `${size}, ${macsOf(rows).toLocaleString('en-US')} multiply–accumulates${assumption(graph)}`
}

/** What the count of multiply–accumulates takes for the sizes that only a run fixes. */
function assumption(graph: Graph): string {
  const dims = Object.values(graph.inputs).flatMap(t => t.shape)
  const open = new Set(dims.filter(d => typeof d === 'string' || d === UNKNOWN).map(dimText))
  return open.size ? ` with ${[...open].join(' = ')} = 1` : ''
}
