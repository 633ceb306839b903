import type { FileFacts, RuntimeProof, Thresholds, Timing } from './proof.ts'

/** What holds unless somebody says otherwise. */
export const LIMITS = { tolerance: 1e-4, maxDrop: 0.5, minAgreement: 0.95, maxError: 0.1 } as const

/** The limits of a file: float32 files give the same numbers, others the same answers. */
export function thresholdsFor(
  { lossy }: Pick<FileFacts, 'lossy'>,
  asked: Partial<Thresholds> = {},
): Thresholds {
  const { tolerance = LIMITS.tolerance, maxDrop, minAgreement, maxError } = asked
  if (!lossy) return { tolerance, maxDrop, minAgreement, maxError }
  return {
    tolerance,
    maxDrop: maxDrop ?? LIMITS.maxDrop,
    minAgreement: minAgreement ?? LIMITS.minAgreement,
    maxError: maxError ?? LIMITS.maxError,
  }
}

/** A difference in two digits, such as `1.8` or `9.5e-6`. */
export const differenceText = (n: number): string =>
  n === 0 || n >= 1e-3 ? String(Number(n.toPrecision(2))) : n.toExponential(1)

const points = (n: number): string => `${n.toFixed(2)} points`
const share = (n: number): string => `${(100 * n).toFixed(2)} %`
const inFull = (n: number): string => n.toLocaleString('en-US')

interface Measured extends Pick<RuntimeProof, 'maxAbsDiff' | 'outputs' | 'answers'> {
  /** Of a classifier: its outputs of real numbers beside the scores. @default none */
  readonly others?: RuntimeProof['outputs']
}

/** What is wrong with a file's answers, with numbers; nothing where they are within the limits. */
export function failuresOf(
  { maxAbsDiff, outputs, answers, others = {} }: Measured,
  lossy: boolean,
  limits: Thresholds,
): string[] {
  const { tolerance, maxDrop, minAgreement, maxError } = limits
  const failures: string[] = []
  if (Number.isNaN(maxAbsDiff))
    return ['an output is not a number, or its size differs from that of the reference']
  if (!lossy && maxAbsDiff > tolerance)
    failures.push(`outputs differ by up to ${differenceText(maxAbsDiff)}; ${tolerance} is allowed`)
  const { accuracy, agreement = 1, count = 0, disagreed = 0 } = answers ?? {}
  // Of few examples, one is more than the limit.
  const allowed = maxDrop === undefined ? undefined : Math.max(maxDrop, 100 / count)
  if (accuracy && allowed !== undefined && accuracy.drop > allowed + 1e-9)
    failures.push(
      `accuracy drops by ${points(accuracy.drop)}, from ${share(accuracy.reference)} to ${share(accuracy.file)} of ${inFull(count)}; ${points(allowed)} are allowed`,
    )
  if (answers && minAgreement !== undefined && agreement < minAgreement)
    failures.push(
      `${share(agreement)} of ${inFull(count)} predictions agree with the reference (${inFull(disagreed)} differ); ${share(minAgreement)} must`,
    )
  if (maxError !== undefined)
    for (const [name, { error }] of Object.entries(answers ? others : outputs))
      if (!(error <= maxError))
        failures.push(`output ${name} is off by ${share(error)} of its spread; ${share(maxError)} is allowed`)
  return failures
}

/** Speeds closer than this are the same. */
const SAME = 0.05

const speedWords = (speedup: number): string => {
  if (Math.abs(speedup - 1) <= SAME) return 'as fast as'
  return speedup > 1 ? `${speedup.toFixed(1)}× the speed of` : `${speedup.toFixed(2)}× the speed of`
}

const verdictWords = (speedup: number): string =>
  Math.abs(speedup - 1) <= SAME ? '' : speedup > 1 ? ' (faster)' : ' (slower)'

const timingWords = ({ batch, speedup }: Timing, other: string): string | undefined =>
  speedup === undefined
    ? undefined
    : `${speedWords(speedup)} ${other} at batch ${batch}${verdictWords(speedup)}`

/** On which runtimes a file is faster or slower than its reference, a line for each. */
export function speedLines(form: string, other: string, runtimes: readonly RuntimeProof[]): string[] {
  return runtimes.flatMap(({ runtime, latency, throughput }) => {
    const parts = [latency, throughput].flatMap(timing => (timing && timingWords(timing, other)) ?? [])
    return parts.length ? [`${form} on ${runtime}: ${parts.join(', ')}`] : []
  })
}
