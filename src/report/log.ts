import { UserError } from '../graph/errors.ts'
import { isObject } from '../graph/keys.ts'
import { lookup } from '../graph/present.ts'
import { measureOf } from '../train/progress.ts'

/** What a line says in numbers, by name. */
export type Numbers = Readonly<Record<string, number>>

/** What a run has recorded of itself. */
export interface RunLog {
  /** Of each epoch that came to its end, with the keys of `flatMetrics`. */
  readonly epochs: readonly Numbers[]
  /** `{step, epoch, lr, loss, gradNorm}` about a thousand times in the run: means since the line before. */
  readonly steps: readonly Numbers[]
  /** What it came to; undefined until it is complete. */
  readonly final?: Numbers
  /** What ended it, as `FitResult` names it. */
  readonly end?: string
}

/** The metrics that a run has recorded beside its loss, such as `accuracy`, in their order. */
export function metricsOf({ epochs, final }: RunLog): readonly string[] {
  const keys = [...epochs, final ?? {}].flatMap(line => Object.keys(line))
  return [...new Set(keys.flatMap(key => measureOf(key)?.measure ?? []))].filter(name => name !== 'loss')
}

/** Lines of JSON; one that is still being written has no end yet. */
function linesOf(text: string, name: string): Readonly<Record<string, unknown>>[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line, i) => {
      try {
        const value: unknown = JSON.parse(line)
        if (isObject(value)) return value
      } catch {}
      throw new UserError(`${name}: line ${i + 1} is not a JSON object: the file is damaged`)
    })
}

/** Keys that had another name in releases up to 0.1.0. */
const RENAMED: Readonly<Record<string, string>> = { imagesPerSecond: 'examplesPerSecond' }

const numbersOf = (line: object): Numbers =>
  Object.fromEntries(
    Object.entries(line)
      .filter(([, v]) => typeof v === 'number')
      .map(([key, v]) => [Object.hasOwn(RENAMED, key) ? RENAMED[key] : key, v]),
  )

/** A step that was taken again counts as it was taken last. */
const inOrder = (lines: readonly Numbers[]): Numbers[] =>
  [...new Map(lines.map(line => [lookup(line, 'step'), line])).values()].sort(
    (a, b) => lookup(a, 'step') - lookup(b, 'step'),
  )

/**
 * @param metrics text of `metrics.jsonl`
 * @param steps text of `steps.jsonl`, empty where a run has none
 * @throws UserError when a line is damaged
 */
export function readLog(metrics: string, steps: string): RunLog {
  const lines = linesOf(metrics, 'metrics.jsonl')
  const epochs = lines.map(numbersOf).filter(line => line.step !== undefined && line.epoch !== undefined)
  const last = lines.at(-1)
  return {
    epochs: inOrder(epochs),
    steps: inOrder(linesOf(steps, 'steps.jsonl').map(numbersOf)).filter(line => line.step !== undefined),
    ...(last?.final === true ? { final: numbersOf(last), end: String(last.end) } : {}),
  }
}
