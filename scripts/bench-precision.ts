// What smaller forms of trained models cost: npx tsx scripts/bench-precision.ts runs/… [--aware 10000] [--form int8 …]
// `--aware` limits the examples of quantization-aware training; files are written beside the table, into the runs' folders.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { subset } from '../src/data/dataset.ts'
import { placesOf } from '../src/deploy/proof/places-node.ts'
import type { RuntimeProof } from '../src/deploy/proof/proof.ts'
import { proveHere } from '../src/deploy/proof/prove-node.ts'
import { trainingPredictor } from '../src/deploy/reference.ts'
import { exportOnnx } from '../src/export/export.ts'
import { type Deployable, deployable } from '../src/runs/deployable-node.ts'
import { formOf, type Precision } from '../src/runs/forms-node.ts'
import { nodeRuntime } from '../src/runtime/node.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    aware: { type: 'string' },
    seconds: { type: 'string', default: '1' },
    form: { type: 'string', multiple: true },
  },
})

const FORMS: readonly (readonly [Precision | 'plain', number])[] = [
  ['plain', 0],
  ['float32', 0],
  ['float16', 0],
  ['int8', 0],
  ['int8', 1],
  ['int8-dynamic', 0],
]

const context = { label: (name: string) => name, notice: (line: string) => console.error(line) }

/** The run with fewer training images, for quantization-aware training. */
const limited = (source: Deployable, count: number): Deployable => ({
  ...source,
  async lesson() {
    const own = await source.lesson()
    const { train } = own.data
    return 'images' in train ? { ...own, data: { ...own.data, train: subset(train, count) } } : own
  },
})

const points = (n: number): string => n.toFixed(2)
const weightsOf = (weights: Readonly<Record<string, number>>): number =>
  Object.values(weights).reduce((a, b) => a + b, 0)
const times = ({ latency, throughput }: RuntimeProof): string[] => [
  latency ? `${latency.file.p50.toFixed(2)} (${latency.speedup?.toFixed(2) ?? 1}×)` : '–',
  throughput ? `${Math.round(throughput.throughput.file)} (${throughput.speedup?.toFixed(2) ?? 1}×)` : '–',
]

const runtime = await nodeRuntime('cpu')
console.log(
  '| model | form | file | weights | of float32 | accuracy | points lost | agreement | CPU ms (batch 1) | CPU img/s (64) | WASM ms (1) | WASM img/s (64) |\n|---|---|---|---|---|---|---|---|---|---|---|---|',
)
for (const folder of positionals) {
  const source = await deployable(folder, {}, {}, context)
  const { data } = await source.lesson()
  const test = data.test ?? data.val
  if (!test) throw new Error(`${folder} has no test set`)
  const plain = exportOnnx(source.trained)
  const runner = trainingPredictor(runtime, source.trained)
  for (const [precision, qat] of FORMS) {
    const name = qat ? 'int8-qat' : precision
    if (values.form && !values.form.includes(name)) continue
    const own = qat && values.aware ? limited(source, Number(values.aware)) : source
    const bytes =
      precision === 'plain' ? plain : exportOnnx((await formOf(runtime, own, precision, { qat })).trained)
    writeFileSync(join(folder, `bench-${name}.onnx`), bytes)
    const proof = await proveHere(
      { bytes, name },
      { name: 'float32', runner, bytes: plain },
      test,
      placesOf(['cpu', 'wasm'], {}),
      { seconds: Number(values.seconds) },
    )
    const [cpu, wasm] = proof.runtimes
    const { answers } = cpu ?? {}
    const whole = weightsOf(proof.reference.file?.weights ?? proof.file.weights)
    console.log(
      `| ${[
        ...[folder.split('/').at(-1), name, bytes.length.toLocaleString('en-US')],
        weightsOf(proof.file.weights).toLocaleString('en-US'),
        (weightsOf(proof.file.weights) / whole).toFixed(3),
        answers?.accuracy ? points(100 * answers.accuracy.file) : '–',
        answers?.accuracy ? points(answers.accuracy.drop) : '–',
        answers ? points(100 * answers.agreement) : '–',
        ...(cpu ? times(cpu) : []),
        ...(wasm ? times(wasm) : []),
      ].join(' | ')} |`,
    )
  }
  await runner.close()
}
await runtime.close()
process.exit(0)
