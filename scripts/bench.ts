// Measures training and inference on this machine: npm run bench -- [--workload lecture] [--json]
import { spawnSync } from 'node:child_process'
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { table } from '../src/cli/output.ts'
import { measure, type Result } from './bench/measure.ts'
import { WORKLOADS } from './bench/workloads.ts'

const DEFAULT = ['lecture', 'small']

const argv = yargs(hideBin(process.argv))
  .scriptName('npm run bench --')
  .usage('$0 [options]\n\nTimes training steps, their matrix products alone, and the exported model')
  .option('workload', {
    choices: Object.keys(WORKLOADS),
    array: true,
    default: DEFAULT,
    describe: 'What to measure',
  })
  .option('steps', { type: 'number', describe: 'Steps that are timed of each kind [default: by workload]' })
  .option('threads', { type: 'number', describe: 'Threads of one op [default: physical cores]' })
  .option('json', { type: 'boolean', default: false, describe: 'Print one JSON object as the last line' })
  .check(({ steps, threads }) => {
    for (const [name, n] of Object.entries({ steps, threads }))
      if (n !== undefined && !(Number.isInteger(n) && n > 0))
        throw new Error(`--${name} must be a whole number above 0`)
    return true
  })
  .strict()
  .help()
  .wrap(100)
  .parseSync()

/** Runs this program again for one workload, so that each has a process, and its memory, to itself. */
function separately(workload: string): Result {
  const flags = [`--workload=${workload}`, '--json']
  for (const name of ['steps', 'threads'] as const)
    if (argv[name] !== undefined) flags.push(`--${name}=${argv[name]}`)
  const [script] = process.argv.slice(1)
  const { stdout, status } = spawnSync(process.execPath, [...process.execArgv, script!, ...flags], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (status !== 0) throw new Error(`the measurement of ${workload} failed`)
  const results = JSON.parse(stdout.trim().split('\n').at(-1)!) as Record<string, Result>
  return results[workload]!
}

const one = argv.workload.length === 1
const results: Record<string, Result> = {}
for (const name of argv.workload) {
  const workload = WORKLOADS[name]!
  if (!one) process.stderr.write(`measuring ${name}: ${workload.about}, batch ${workload.batch} …\n`)
  results[name] = one ? await measure(workload, argv.steps ?? workload.steps, argv.threads) : separately(name)
}

const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 1)
const rows: [string, (r: Result) => string][] = [
  ['step, median ms', r => ms(r.stepMs)],
  ['step, 20th percentile ms', r => ms(r.stepP20Ms)],
  ['images/s', r => Math.round(r.imagesPerSecond).toLocaleString('en-US')],
  ['matrix products alone ÷ step', r => r.floorShare.toFixed(2)],
  ['all passes ÷ none', r => r.passesRatio.toFixed(2)],
  ['compile + load ms', r => `${ms(r.buildMs)} + ${ms(r.sessionMs)}`],
  ['peak memory MB', r => Math.round(r.peakMB).toLocaleString('en-US')],
  ['exported, 1 image, p50 / p99 ms', r => `${ms(r.inferenceP50Ms)} / ${ms(r.inferenceP99Ms)}`],
]
const names = Object.keys(results)
const head = ['', ...names.map(name => `${name} (batch ${results[name]!.batch})`)]
console.log(
  table(
    head,
    rows.map(([label, cell]) => [label, ...names.map(name => cell(results[name]!))]),
  ),
)
if (argv.json) console.log(JSON.stringify(results))
