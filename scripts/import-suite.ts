import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { nodeRuntime } from '../src/runtime/node.ts'
import { checkFile, type Outcome } from './import-suite/check.ts'

// Imports all .onnx files of a folder, writes and runs each again, and compares: `npm run import-suite -- DIR`.

const { dir, match, json, quiet, summary } = await yargs(hideBin(process.argv))
  .scriptName('npm run import-suite --')
  .usage(
    '$0 DIR\n\nImports every .onnx file in a folder, writes it again, runs both in onnxruntime, and compares.',
  )
  .command('$0 <dir>', false, y =>
    y.positional('dir', { type: 'string', demandOption: true, describe: 'Folder' }),
  )
  .option('match', {
    type: 'string',
    default: '',
    describe: 'Only files whose path matches this regular expression',
  })
  .option('json', { type: 'string', describe: 'Write the outcomes to this file' })
  .option('summary', {
    type: 'string',
    describe: 'Add counts and reasons under this name to scripts/ops-table/imported.json',
  })
  .option('quiet', { type: 'boolean', default: false, describe: 'Print the summary alone' })
  .epilogue(
    `Wanted outputs: test_data_set_*/ beside a file (onnx's own tests), FILE.ref.json with FILE.ref.bin, or onnxruntime itself on
random inputs. Gradients in FILE.ref.json are compared, too. Files with inputs or outputs that are no tensors of numbers, and those
that draw random numbers, are not counted.`,
  )
  .strict()
  .parse()

const wanted = new RegExp(match)
const files = readdirSync(String(dir), { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.onnx') && wanted.test(name) && statSync(join(String(dir), name)).isFile())
  .sort()

const runtime = await nodeRuntime('cpu')
const outcomes: Record<string, Outcome> = {}
for (const name of files) {
  const outcome = await checkFile(runtime, join(String(dir), name))
  outcomes[name] = outcome
  const { kind, why, gradients } = outcome
  if (!quiet && (kind === 'refused' || kind === 'wrong'))
    console.log(`${kind}: ${relative('.', name)}: ${why}`)
  if (!quiet && gradients)
    console.log(
      `${gradients.fault ? 'wrong gradient' : 'gradients'}: ${name}: ${gradients.weights} weights, worst ${gradients.worst.toExponential(1)}${gradients.inDouble === undefined ? '' : `, ${gradients.inDouble.toExponential(1)} in double precision`} ${gradients.fault ?? ''}`,
    )
}
await runtime.close()

const all = Object.values(outcomes)
const count = (kind: Outcome['kind']): number => all.filter(o => o.kind === kind).length

/** A reason without what is particular to one node. */
const general = (why = ''): string =>
  why
    .replace(/^node .*? \((\w+)\): /, '$1: ')
    .replace(/; inspect still lists.*/, '')
    .replace(/\[[\d,?\w+*-]*\]/g, '[…]')

function table(kind: Outcome['kind'], title: string): void {
  const reasons = new Map<string, number>()
  for (const o of all)
    if (o.kind === kind) reasons.set(general(o.why), (reasons.get(general(o.why)) ?? 0) + 1)
  if (!reasons.size) return
  console.log(`\n${title}`)
  for (const [why, n] of [...reasons].sort((a, b) => b[1] - a[1]))
    console.log(`${String(n).padStart(5)}  ${why}`)
}
table('excluded', 'not counted')
table('refused', 'refused')
table('wrong', 'wrong')

if (summary) {
  const file = 'scripts/ops-table/imported.json'
  const before: { readonly name: string }[] = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []
  const unequal = all.filter(o => o.kind === 'refused' || o.kind === 'wrong')
  const reasons: Record<string, number> = {}
  for (const o of unequal) reasons[general(o.why)] = (reasons[general(o.why)] ?? 0) + 1
  const counted = all.length - count('excluded')
  const [equal, refused, wrong, excluded] = [
    count('equal'),
    count('refused'),
    count('wrong'),
    count('excluded'),
  ]
  const kept = all.filter(o => o.kind === 'equal' && o.kept).length
  const now = { name: summary, counted, equal, kept, refused, wrong, excluded, reasons }
  const place = before.findIndex(t => t.name === summary)
  const next = place < 0 ? [...before, now] : before.with(place, now)
  writeFileSync(file, `${JSON.stringify(next, null, 2)}\n`)
}
if (json) writeFileSync(json, JSON.stringify(outcomes, null, 1))
const kept = all.filter(o => o.kind === 'equal' && o.kept).length
const tested = all.filter(o => o.gradients)
console.log(`\n${all.length - count('excluded')} of ${all.length} files are counted`)
if (kept) console.log(`${kept} of the equal ones keep nodes as the file has them`)
if (tested.length)
  console.log(
    `gradients of ${tested.filter(o => !o.gradients?.fault).length} of ${tested.length} files are those of their reference`,
  )
console.log(`${count('equal')} imported and equal, ${count('refused')} refused, ${count('wrong')} wrong`)
