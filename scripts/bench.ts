// Measures training and inference on this machine: npm run bench -- [--workload lecture] [--peer] [--page] [--json]

import { spawnSync } from 'node:child_process'
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { lookup, nth } from '../src/graph/present.ts'
import { type MeasureOptions, measure, type Result } from './bench/measure.ts'
import { PEERS } from './bench/peers/index.ts'
import { peerTable, workloadTable } from './bench/report.ts'
import { WORKLOAD_NAMES, WORKLOADS, type WorkloadName } from './bench/workloads.ts'

const argv = yargs(hideBin(process.argv))
  .scriptName('npm run bench --')
  .usage('$0 [options]\n\nTimes training steps, their matrix products alone, and the exported model')
  .option('workload', {
    choices: WORKLOAD_NAMES,
    array: true,
    default: WORKLOAD_NAMES,
    describe: 'What to measure',
  })
  .option('steps', { type: 'number', describe: 'Steps that are timed of each kind [default: by workload]' })
  .option('threads', { type: 'number', describe: 'Threads of one op [default: physical cores]' })
  .option('peer', {
    choices: Object.keys(PEERS),
    array: true,
    describe: 'Also other frameworks, in turns with ours; without a name, all of them',
  })
  .option('python', {
    type: 'string',
    default: process.env.ONNXGRAD_PYTHON ?? 'python3',
    defaultDescription: 'ONNXGRAD_PYTHON, else python3',
    describe: 'A Python that has PyTorch',
  })
  .option('peers-from', {
    type: 'string',
    default: '.',
    describe: 'A folder whose node_modules have tfjs and jax-js',
  })
  .option('page', {
    type: 'boolean',
    default: false,
    describe: 'Also in a page of Chromium, in turns with jax-js',
  })
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

const { steps, threads, python, peersFrom } = argv
const peers = argv.peer?.length === 0 ? Object.keys(PEERS) : (argv.peer ?? [])

/** Runs this program again for one workload, so that each has a process, and its memory, to itself. */
function separately(workload: WorkloadName): Result {
  const flags = [`--workload=${workload}`, '--json', `--python=${python}`, `--peers-from=${peersFrom}`]
  for (const [name, n] of Object.entries({ steps, threads }))
    if (n !== undefined) flags.push(`--${name}=${n}`)
  if (peers.length) flags.push('--peer', ...peers)
  if (argv.page) flags.push('--page')
  const script = nth(process.argv, 1)
  const { stdout, status } = spawnSync(process.execPath, [...process.execArgv, script, ...flags], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (status !== 0) throw new Error(`the measurement of ${workload} failed`)
  const results: Record<string, Result> = JSON.parse(nth(stdout.trim().split('\n'), -1))
  return lookup(results, workload)
}

const one = argv.workload.length === 1
const results: Record<string, Result> = {}
for (const name of argv.workload) {
  const { about, batch } = WORKLOADS[name]
  const options: MeasureOptions = {
    steps,
    threads,
    peers,
    places: { python, folder: peersFrom },
    page: argv.page && lookup(PEERS, 'jax-js').workloads.includes(name),
  }
  if (!one) process.stderr.write(`measuring ${name}: ${about}, batch ${batch} …\n`)
  results[name] = one ? await measure(name, options) : separately(name)
}

console.log(workloadTable(results))
if (peers.length || argv.page) console.log(`\n${peerTable(results)}`)
if (argv.json) console.log(JSON.stringify(results))
