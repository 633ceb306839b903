import type { FileFacts, Proof, RuntimeProof, Timing } from '../deploy/proof/proof.ts'
import { differenceText } from '../deploy/proof/verdict.ts'
import { table } from './output.ts'

const count = (n: number): string => n.toLocaleString('en-US')
const percent = (share: number): string => `${(100 * share).toFixed(2)} %`
const ms = (n: number): string => n.toFixed(n < 1 ? 3 : n < 10 ? 2 : 1)

/** Such as `int8 61,470, float32 1,204`. */
const weightsText = ({ weights }: FileFacts): string =>
  Object.entries(weights)
    .map(([dtype, bytes]) => `${dtype} ${count(bytes)}`)
    .join(', ')

const times = ({ p50, p99 }: Timing['file']): string => `${ms(p50)} / ${ms(p99)}`

const row = (r: RuntimeProof): string[] => {
  const { accuracy } = r.answers ?? {}
  const faster = (timing: Timing | undefined) =>
    timing?.speedup === undefined ? '' : ` (${timing.speedup.toFixed(2)}×)`
  return [
    r.runtime,
    r.version,
    r.error ? '–' : count(r.examples),
    accuracy ? percent(accuracy.file) : '–',
    accuracy ? accuracy.drop.toFixed(2) : '–',
    r.answers ? percent(r.answers.agreement) : '–',
    r.error ? '–' : differenceText(r.maxAbsDiff),
    r.latency ? `${times(r.latency.file)}${faster(r.latency)}` : '–',
    r.throughput ? `${count(Math.round(r.throughput.throughput.file))}${faster(r.throughput)}` : '–',
    r.ok ? 'ok' : 'FAILED',
  ]
}

/** Columns that hold anything. */
function shown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const used = head.map((_, i) => rows.some(cells => cells[i] !== '–'))
  const of = (cells: readonly string[]) => cells.filter((_, i) => used[i])
  return table(of(head), rows.map(of))
}

/** A proof as people read it. */
export function proofText(proof: Proof): string {
  const { file, reference, runtimes, examples, skipped, speed, failures, machine } = proof
  const other = reference.file
  const ratio = other && other.bytes / file.bytes
  const smaller =
    other && ratio !== undefined && Math.abs(ratio - 1) > 0.01
      ? `; the reference, ${other.form}, has ${count(other.bytes)}: ${ratio.toFixed(2)}× as many`
      : ''
  const size = examples.size === undefined ? '' : `, ${count(examples.size)} examples`
  const batches = new Set(runtimes.flatMap(r => r.throughput?.batch ?? []))
  const single = new Set(runtimes.flatMap(r => r.latency?.batch ?? []))
  const head = [
    ...['runtime', 'version', 'examples', 'accuracy', 'drop', 'agreement', 'max abs diff'],
    `ms at batch ${[...single].join(', ')}, p50 / p99`,
    `examples/s at batch ${[...batches].join(', ')}`,
    'verdict',
  ]
  const reads = file.onnxruntime ? `onnxruntime ${file.onnxruntime} and later` : 'first onnxruntime unknown'
  return [
    `${file.name}: ${file.form}, ${count(file.bytes)} bytes${smaller}`,
    `weights   ${weightsText(file)} bytes`,
    `reads     ${reads} (opset ${file.opset})`,
    `against   ${reference.name}`,
    `examples  ${examples.name}${size}`,
    `machine   ${machine.processor}, ${machine.cores} cores, Node ${machine.node}`,
    '',
    shown(head, runtimes.map(row)),
    ...(speed.length ? ['', ...speed] : []),
    ...(skipped.length ? ['', ...skipped.map(({ device, reason }) => `not run   ${device}: ${reason}`)] : []),
    ...(failures.length ? ['', ...failures.map(failure => `FAILED    ${failure}`)] : []),
  ].join('\n')
}
