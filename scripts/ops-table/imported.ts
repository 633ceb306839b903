import { readFileSync } from 'node:fs'
import { OPSETS } from '../../src/export/opsets.ts'
import { allOps } from '../../src/graph/op.ts'
import { OPERATORS } from '../../src/import/operators/index.ts'

/** Files that were tried, as `npm run import-suite -- DIR --summary` counts them. */
interface Tried {
  readonly name: string
  readonly counted: number
  readonly equal: number
  readonly kept: number
  readonly refused: number
  readonly wrong: number
  readonly excluded: number
  readonly reasons: Readonly<Record<string, number>>
}

/** Operators that run a graph; src/import reads them itself. */
const CONTROL = ['If', 'Loop', 'Scan']
/** Values that are followed without ops. */
const FOLLOWED = ['Shape', 'Size']

function operatorsOf(domain: string): string[] {
  const own = allOps().flatMap(op => ((op.domain ?? '') === domain ? [op.type] : []))
  const read = Object.keys(OPERATORS[domain] ?? {})
  return [...new Set([...own, ...read, ...(domain ? [] : [...CONTROL, ...FOLLOWED])])].sort()
}

const named = (names: readonly string[]): string => names.map(name => `\`${name}\``).join(' ')

/** The part of the page on files of other programs. */
export function importedSection(): string {
  const tried: Tried[] = JSON.parse(readFileSync('scripts/ops-table/imported.json', 'utf8'))
  const sum = (key: 'counted' | 'equal' | 'kept' | 'refused' | 'wrong'): number =>
    tried.reduce((n, t) => n + t[key], 0)
  const rows = tried.map(
    t => `| ${t.name} | ${t.counted} | ${t.equal} | ${t.kept} | ${t.refused} | ${t.wrong} | ${t.excluded} |`,
  )
  const reasons = new Map<string, number>()
  for (const t of tried)
    for (const [why, n] of Object.entries(t.reasons)) reasons.set(why, (reasons.get(why) ?? 0) + n)
  const listed = [...reasons].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
  const [own, microsoft] = ['', 'com.microsoft'].map(operatorsOf)
  return `## Operators of files

\`load\` and \`importOnnx\` read these operators, of opset 7 and later, and write files of opset ${OPSETS.min} to ${OPSETS.max}. Each has a gradient where it
is differentiable at all; a test compares its values with onnxruntime's and its gradient with differences. Half precision
becomes float32. Functions of a file are inlined. Loops are unrolled where the number of their rounds is constant; of an If whose condition
only the run time knows, both branches are computed. A node that is not listed, or has a form that is not supported, is kept as the file has it where the file states
the types of its outputs: it runs, and lets no gradient pass. Else it is refused by name. \`onnxgrad inspect FILE\` tells what
becomes of each node.

**ONNX** (${own?.length}): ${named(own ?? [])}

**com.microsoft** (${microsoft?.length}): ${named(microsoft ?? [])}

### What was tried

\`npm run import-suite -- DIR\` reads every file of a folder, writes it again, runs both and compares. Counted are files whose inputs and outputs are
tensors of floats, integers or booleans, without sequences and random numbers, that onnxruntime runs or outputs are stored for.

| files | counted | equal | of these with kept nodes | refused | wrong | not counted |
|---|---|---|---|---|---|---|
${rows.join('\n')}
| **all** | ${sum('counted')} | ${sum('equal')} (${((100 * sum('equal')) / sum('counted')).toFixed(1)} %) | ${sum('kept')} | ${sum('refused')} | ${sum('wrong')} | |

Those that are not equal, by reason:

| files | reason |
|---|---|
${listed.map(([why, n]) => `| ${n} | ${why.replaceAll('|', '\\|')} |`).join('\n')}`
}
