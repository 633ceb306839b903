// Which releases of onnxruntime run which form of a model, at which opset:
//
//   npx tsx scripts/check-runtimes.ts --web DIR… --python DIR…
//
// A DIR of --web has onnxruntime-web in its node_modules (npm install --prefix DIR onnxruntime-web@1.18.0), one of --python has a wheel and
// what it needs (pip install --target DIR onnxruntime==1.18.1 'numpy<2'). src/export/opsets.ts and docs/export.md hold what it found. CI
// does not run it, because it needs many releases.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { exportOnnx } from '../src/export/export.ts'
import { OPSETS } from '../src/export/opsets.ts'
import { lookup } from '../src/graph/present.ts'
import { nodeRuntime } from '../src/runtime/node.ts'
import { openPredictor } from '../src/train/predictor.ts'
import { DIMS, forms, pixels } from './runtimes/forms.ts'

const argv = yargs(hideBin(process.argv))
  .option('web', { type: 'string', array: true, default: [], describe: 'Folders with onnxruntime-web' })
  .option('python', { type: 'string', array: true, default: [], describe: 'Folders with a wheel' })
  .option('path', { type: 'string', default: '', describe: 'Further PYTHONPATH, such as NumPy' })
  .option('verbose', { type: 'boolean', default: false, describe: 'Print what runtimes say' })
  .strict()
  .parseSync()

/** Differences between kernels of one precision; the steps of half precision and of int8 are larger. */
const TOLERANCE: Readonly<Record<string, number>> = { float32: 1e-5, float16: 5e-3, int8: 2e-2 }

const opsets = Array.from({ length: OPSETS.max - OPSETS.min + 1 }, (_, i) => OPSETS.min + i)
const cpu = await nodeRuntime('cpu')
const folder = mkdtempSync(join(tmpdir(), 'onnxgrad-forms-'))
const wanted = new Map<string, { form: string; opset: number; logits: number[] }>()
for (const [form, trained] of Object.entries(await forms(cpu)))
  for (const opset of opsets) {
    const bytes = exportOnnx(trained, { opset })
    const p = await openPredictor(cpu, bytes)
    const { logits } = await p.run({ image: { data: pixels(), dims: DIMS } })
    await p.close()
    const file = `${form}-${opset}.onnx`
    writeFileSync(join(folder, file), bytes)
    wanted.set(file, { form, opset, logits: Array.from(logits?.data ?? [], Number) })
  }
writeFileSync(join(folder, 'input.json'), JSON.stringify({ dims: DIMS, data: Array.from(pixels()) }))

const beside = (file: string): string => fileURLToPath(new URL(`runtimes/${file}`, import.meta.url))

type Results = Readonly<Record<string, readonly number[] | string>>

/** What a runtime makes of the files; text alone where the process itself fails. */
function resultsOf(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Results | string {
  const { stdout, stderr, signal } = spawnSync(command, args, { env, encoding: 'utf8' })
  const line = stdout.trim().split('\n').at(-1) ?? ''
  return line.startsWith('{')
    ? (JSON.parse(line) as Results)
    : (signal ?? stderr.trim().split('\n').at(-1) ?? 'nothing')
}

/** How a file fared: right, wrong, or refused. */
function verdict(file: string, got: readonly number[] | string | undefined): string {
  const { form, logits } = lookup(wanted, file)
  if (typeof got === 'string' || !got) {
    if (argv.verbose) console.log(`  ${file}: ${String(got).slice(0, 200)}`)
    return '–'
  }
  const top = Math.max(...logits.map(Math.abs))
  const apart = Math.max(...logits.map((v, i) => Math.abs(v - Number(got[i])))) / top
  return apart <= lookup(TOLERANCE, form) ? 'ok' : `off by ${apart.toExponential(1)}`
}

const runtimes = [
  ...argv.web.map(dir => ({
    name: `web ${basename(dir)}`,
    command: process.execPath,
    args: [beside('run.mjs'), folder, 'onnxruntime-web', dir],
    path: '',
  })),
  ...argv.python.map(dir => ({
    name: `python ${basename(dir)}`,
    command: 'python3',
    args: [beside('run.py'), folder],
    path: `${dir}:${argv.path}`,
  })),
]
for (const { name, command, args, path } of runtimes) {
  const got = resultsOf(command, args, {
    ...process.env,
    PYTHONPATH: path,
  })
  console.log(name + (typeof got === 'string' ? `: ${got}` : ''))
  if (typeof got === 'string') continue
  for (const form of Object.keys(TOLERANCE)) {
    const row = [...wanted].filter(([, w]) => w.form === form)
    console.log(
      `  ${form.padEnd(8)} ${row.map(([file, { opset }]) => `${opset}: ${verdict(file, got[file])}`).join('  ')}`,
    )
  }
}
rmSync(folder, { recursive: true })
await cpu.close()
process.exit(0)
