/**
 * Trains every preset with an expected accuracy in models/registry.ts, as a user would, and checks it. Run: npx tsx
 * scripts/recipes.ts [--data <folder>] [model …] two idle cores take about five minutes for all.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { MODELS } from '../models/registry.ts'

const { values, positionals } = parseArgs({ options: { data: { type: 'string' } }, allowPositionals: true })
const recipes = Object.entries(MODELS).flatMap(([model, entry]) =>
  'accuracy' in entry
    ? Object.entries(entry.accuracy).map(([preset, least]) => ({ model, preset, least }))
    : [],
)
const unknown = positionals.find(name => !recipes.some(r => r.model === name))
if (unknown) throw new Error(`no accuracy is expected of ${unknown}`)

const main = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'onnxgrad-recipes-'))
const data = values.data ? ['--data', values.data] : []
const percent = (share: number) => `${(100 * share).toFixed(2)} %`
try {
  for (const { model, preset, least } of recipes) {
    if (positionals.length && !positionals.includes(model)) continue
    const args = [
      'train',
      model,
      '--preset',
      preset,
      ...data,
      '--out',
      join(folder, `${model}-${preset}`),
      '--json',
    ]
    const { status, stdout, stderr } = spawnSync(process.execPath, [...process.execArgv, main, ...args], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(stderr)
    const { testAccuracy, seconds }: { testAccuracy: number; seconds: number } = JSON.parse(stdout)
    const ok = testAccuracy >= least
    console.log(
      `${model.padEnd(6)} ${preset.padEnd(8)} ${percent(testAccuracy)} in ${seconds.toFixed(0)} s, at least ${percent(least)} expected: ${ok ? 'ok' : 'BELOW'}`,
    )
    if (!ok) process.exitCode = 1
  }
} finally {
  rmSync(folder, { recursive: true })
}
