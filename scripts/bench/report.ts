import { table } from '../../src/terminal/output.ts'
import type { Comparison, Missing } from './compare.ts'
import type { TorchOnnx } from './inference.ts'
import type { Result } from './measure.ts'

const ms = (value: number): string => value.toFixed(value < 10 ? 2 : value < 1000 ? 1 : 0)
const whole = (value: number): string => Math.round(value).toLocaleString('en-US')

const ROWS: readonly [string, (r: Result) => string][] = [
  ['step, median ms', r => ms(r.stepMs)],
  ['step, 20th percentile ms', r => ms(r.stepP20Ms)],
  ['images/s', r => whole(r.imagesPerSecond)],
  ['matrix products alone ÷ step', r => r.floorShare.toFixed(2)],
  ['all passes ÷ none', r => r.passesRatio.toFixed(2)],
  ['compile + load ms', r => `${ms(r.buildMs)} + ${ms(r.sessionMs)}`],
  ['peak memory MB', r => whole(r.peakMB)],
  ['exported, 1 image, p50 / p99 ms', r => `${ms(r.inferenceP50Ms)} / ${ms(r.inferenceP99Ms)}`],
  ['exported, batches of 64, images/s', r => whole(r.inferencePerSecond)],
]

type Results = Readonly<Record<string, Result>>

/** What was measured of each workload alone. */
export function workloadTable(results: Results): string {
  const all = Object.entries(results)
  return table(
    ['', ...all.map(([name, { batch }]) => `${name} (batch ${batch})`)],
    ROWS.map(([label, cell]) => [label, ...all.map(([, result]) => cell(result))]),
  )
}

const PEER_HEAD = [
  'beside',
  'version',
  'ours, ms',
  'theirs, ms',
  'ours ÷ theirs',
  'of 20th percentiles',
  'peak MB, ours',
  'theirs',
]

const megabytes = (value: number | undefined): string => (value === undefined ? '' : whole(value))

const peerRow = (label: string, c: Comparison): string[] => [
  label,
  c.version,
  ms(c.oursMs),
  ms(c.stepMs),
  c.ratio.toFixed(3),
  c.ratioP20.toFixed(3),
  megabytes(c.oursPeakMB),
  megabytes(c.peakMB),
]

const fileLine = ({ ratio1, ratio64 }: TorchOnnx): string =>
  `our exported file ÷ that of torch.onnx: ${ratio1.toFixed(2)} at batch 1, ${ratio64.toFixed(2)} at batch 64`

/** What was measured beside others, and the lines that say what could not be. */
export function peerTable(results: Results): string {
  const rows: string[][] = []
  const lines: string[] = []
  const add = (label: string, c: Comparison | Missing): void => {
    if ('missing' in c) lines.push(`${label}: ${c.missing}`)
    else rows.push(peerRow(label, c))
  }
  for (const [workload, { peers = {}, torchOnnx, page }] of Object.entries(results)) {
    for (const [peer, comparison] of Object.entries(peers)) add(`${workload}, ${peer}`, comparison)
    if (torchOnnx && 'missing' in torchOnnx) lines.push(`${workload}, torch.onnx: ${torchOnnx.missing}`)
    else if (torchOnnx) lines.push(`${workload}, ${fileLine(torchOnnx)}`)
    if (page && 'missing' in page) lines.push(`${workload}, page: ${page.missing}`)
    else
      for (const { threads, oursMs, jaxJs } of page ?? []) {
        const label = `${workload}, page, threads: ${threads}`
        lines.push(`${label}: ${ms(oursMs)} ms`)
        add(`${label}, jax-js`, jaxJs)
      }
  }
  return [...(rows.length ? [table(PEER_HEAD, rows)] : []), ...lines].join('\n')
}
