import { batches } from '../../data/batches.ts'
import type { Dataset, UserBatch } from '../../data/dataset.ts'
import { readOnnx } from '../../export/read.ts'
import type { NdArray } from '../../graph/array.ts'
import { messageOf } from '../../graph/errors.ts'
import { nth } from '../../graph/present.ts'
import type { Runtime } from '../../runtime/session.ts'
import { rowsFrom } from '../../train/fixed-batch.ts'
import type { Runner } from '../reference.ts'
import { Comparison } from './compared.ts'
import { type Loaded, loadFile, pick } from './loaded.ts'
import type { Proof, ProofDevice, RuntimeProof, Thresholds } from './proof.ts'
import { type Patience, takeTurns, timingOf } from './timed.ts'
import { differenceText, failuresOf, speedLines, thresholdsFor } from './verdict.ts'
import { fileFacts } from './weights.ts'

/** What a file is measured against. */
export interface Against {
  /** In words. */
  readonly name: string
  /** Gives the expected outputs. */
  readonly runner: Runner
  /** The reference as a file, for its size and times; absent where it is the proved file itself. */
  readonly bytes?: Uint8Array | undefined
}

/** A runtime on a device, which is opened when its turn comes. */
export interface Place {
  readonly device: ProofDevice
  /** Such as `onnxruntime-node cpu`. */
  readonly runtime: string
  /** Most examples that are compared here. @default all */
  readonly count?: number | undefined
  /** Whether it is left out where it does not work here; else that is a failure. */
  readonly optional?: boolean
  /** @throws UserError where it does not work here */
  open(): Promise<Runtime>
  /** Facts of it for readers, once it is open. */
  readonly detail?: ((runtime: Runtime) => string | undefined) | undefined
}

/** How a file is proved. */
export interface ProveSettings {
  /** Examples of a run. Not a divisor of usual sets, so that a batch size that was fixed by mistake is noticed. @default 96 */
  readonly batch?: number
  readonly thresholds?: Partial<Thresholds>
  /** Seconds that each file is timed for at each batch size, on each runtime; 0 for none. @default 0.3 */
  readonly seconds?: number
  /** Whether the data's labels are the truth. @default where there are labels */
  readonly labelled?: boolean
  /** Called before each runtime. */
  readonly onPlace?: ((place: Place) => void) | undefined
}

export const BATCH = 96
const THROUGHPUT_BATCH = 64
const SECONDS = 0.3

/** Examples on which the reference's file is looked at, where the proved one fails. */
const MOST_FOR_CAUSE = 256
/** GPUs round otherwise. */
const LEAST_CAUSE = 1e-2

/** Expected outputs are kept for the next runtime up to so many bytes. */
const MOST_KEPT = 2 ** 28

type Arrays = Readonly<Record<string, NdArray>>

const isArray = (value: unknown): value is NdArray =>
  typeof value === 'object' && value !== null && 'data' in value && 'dims' in value

/** Rows of a batch from the beginning. Arrays without dims of their own are left as they are. */
function firstOf(batch: UserBatch, count: number): UserBatch {
  return Object.fromEntries(
    Object.entries(batch).map(([name, value]) => {
      if (!isArray(value)) return [name, value]
      const { data, dims } = value
      const rows = nth(dims, 0)
      return rows <= count
        ? [name, value]
        : [name, { data: data.subarray(0, (data.length / rows) * count), dims: [count, ...dims.slice(1)] }]
    }),
  )
}

const rowsOf = (batch: UserBatch): number =>
  Math.max(0, ...Object.values(batch).map(value => (isArray(value) ? (value.dims[0] ?? 0) : 0)))

/** The reference's outputs, batch by batch; later runtimes get them without another run. */
class Reference {
  readonly #runner: Runner
  readonly #kept = new Map<string, Arrays>()
  #bytes = 0

  constructor(runner: Runner) {
    this.#runner = runner
  }

  async of(number: number, rows: number, batch: UserBatch): Promise<Arrays> {
    const key = `${number}/${rows}`
    const had = this.#kept.get(key)
    if (had) return had
    const outputs: Arrays = await this.#runner.run(pick(this.#runner.inputs, batch))
    const bytes = Object.values(outputs).reduce((n, { data }) => n + data.byteLength, 0)
    if (this.#bytes + bytes <= MOST_KEPT) {
      this.#bytes += bytes
      this.#kept.set(key, outputs)
    }
    return outputs
  }
}

/** Labels as numbers, one for each row of scores. */
function labelsOf(batch: UserBatch): ArrayLike<number> | undefined {
  const { label } = batch
  const data = isArray(label) ? label.data : label
  return ArrayBuffer.isView(data) && !(data instanceof DataView) ? Array.from(data, Number) : undefined
}

async function compare(
  loaded: Loaded,
  reference: Reference,
  data: Dataset,
  most: number,
  { batch = BATCH, labelled = true }: ProveSettings,
): Promise<{ readonly comparison: Comparison; readonly examples: number }> {
  const comparison = new Comparison()
  let [examples, number] = [0, 0]
  for await (const whole of batches(data, { batch, shuffle: false })) {
    const rows = Math.min(rowsOf(whole), most - examples)
    const own = firstOf(whole, rows)
    const expected = await reference.of(number++, rows, own)
    const got = await loaded.predictor.run(own)
    comparison.add(expected, got, labelled ? labelsOf(own) : undefined)
    examples += rows
    if (examples >= most) break
  }
  return { comparison, examples }
}

/** The first examples of a set, in memory of their own; of a smaller set, the last one again and again. */
async function sampleOf(data: Dataset, size: number): Promise<UserBatch> {
  for await (const batch of batches(data, { batch: size, shuffle: false }))
    return Object.fromEntries(
      Object.entries(batch).map(([name, value]) => [name, isArray(value) ? rowsFrom(value, 0, size) : value]),
    )
  return {}
}

async function time(files: readonly Loaded[], data: Dataset, size: number, patience: Patience) {
  const [file, reference = file] = files
  const sizes = files.map(loaded => loaded.fixed ?? size)
  const timers = await Promise.all(
    files.map(async (loaded, i) => loaded.timer(await sampleOf(data, nth(sizes, i)))),
  )
  // Reference first, file second, in each round.
  const times = await takeTurns(timers.toReversed(), patience)
  return file && reference
    ? timingOf(times.toReversed(), { file: nth(sizes, 0), reference: nth(sizes, -1) })
    : undefined
}

/** Proves a file on each runtime. Failures of a runtime are part of the proof. @throws UserError for a file that is not ONNX */
export async function prove(
  { bytes, name, size }: { readonly bytes: Uint8Array; readonly name: string; readonly size?: number },
  against: Against,
  data: Dataset,
  places: readonly Place[],
  settings: ProveSettings = {},
): Promise<Omit<Proof, 'machine' | 'date'>> {
  const file = fileFacts(name, readOnnx(bytes, name), size)
  const other = against.bytes && !same(against.bytes, bytes) ? against.bytes : undefined
  const thresholds = thresholdsFor(file, settings.thresholds)
  const reference = new Reference(against.runner)
  const runtimes: RuntimeProof[] = []
  const skipped: Proof['skipped'][number][] = []
  for (const place of places) {
    settings.onPlace?.(place)
    const runtime = await place.open().catch((error: unknown) => lineOf(error))
    if (typeof runtime !== 'string') runtimes.push(await proveOn(place, runtime))
    else if (place.optional) skipped.push({ device: place.device, reason: runtime })
    else runtimes.push(nothing(place, 'unknown', runtime))
  }
  const failures = runtimes.flatMap(r => r.failures.map(failure => `${r.runtime}: ${failure}`))
  const named = other && fileFacts(against.name, readOnnx(other, against.name))
  return {
    ok: !failures.length,
    failures,
    file,
    reference: { name: against.name, ...(named ? { file: named, sizeRatio: file.bytes / named.bytes } : {}) },
    examples: {
      name: data.name,
      ...(data.size === undefined ? {} : { size: data.size }),
      ...(data.classes ? { classes: data.classes } : {}),
    },
    thresholds,
    ...{ runtimes, skipped },
    speed: named && file.form !== named.form ? speedLines(file.form, named.form, runtimes) : [],
  }

  async function proveOn(place: Place, runtime: Runtime): Promise<RuntimeProof> {
    const { device, runtime: label, count, detail } = place
    const about = { device, runtime: label }
    try {
      const said = detail?.(runtime)
      const own = await loadFile(runtime, bytes, name)
      const { comparison, examples } = await compare(
        own,
        reference,
        data,
        count ?? Number.POSITIVE_INFINITY,
        settings,
      )
      const { outputs, maxAbsDiff, answers, others } = comparison
      const failures = failuresOf({ outputs, maxAbsDiff, answers, others }, file.lossy, thresholds)
      const cause = failures.length ? await causeOn(runtime, examples) : undefined
      const { seconds = SECONDS } = settings
      const times = seconds > 0 ? await timesOn(runtime, own, seconds) : {}
      await own.close()
      return {
        ...about,
        version: runtime.version,
        ok: !failures.length,
        failures: cause === undefined ? failures : [...failures, cause],
        ...{ examples, maxAbsDiff, outputs },
        ...(answers ? { answers } : {}),
        ...times,
        ...(said === undefined ? {} : { detail: said }),
      }
    } catch (error) {
      return nothing(place, runtime.version, lineOf(error))
    } finally {
      await runtime.close()
    }
  }

  /** Whether the reference's own file fails there, too: then its form is not what is wrong with the proved one. */
  async function causeOn(runtime: Runtime, examples: number): Promise<string | undefined> {
    if (!other) return undefined
    const theirs = await loadFile(runtime, other, against.name)
    const { comparison } = await compare(
      theirs,
      reference,
      data,
      Math.min(examples, MOST_FOR_CAUSE),
      settings,
    )
    await theirs.close()
    const { maxAbsDiff } = comparison
    return maxAbsDiff <= Math.max(thresholds.tolerance, LEAST_CAUSE)
      ? undefined
      : `the reference's own file is off by ${differenceText(maxAbsDiff)} on this runtime, too: the fault is in the runtime or its device`
  }

  async function timesOn(runtime: Runtime, own: Loaded, seconds: number) {
    const theirs = other && (await loadFile(runtime, other, against.name))
    const files = theirs ? [own, theirs] : [own]
    const latency = await time(files, data, 1, { seconds, least: 5, most: 1000 })
    const throughput = await time(files, data, THROUGHPUT_BATCH, { seconds, least: 5, most: 200 })
    await theirs?.close()
    return { ...(latency ? { latency } : {}), ...(throughput ? { throughput } : {}) }
  }
}

const lineOf = (error: unknown): string => messageOf(error).replaceAll(/\s*\n\s*/g, ' ')

/** Of a runtime that returned nothing. */
const nothing = ({ device, runtime }: Place, version: string, error: string): RuntimeProof => ({
  ...{ device, runtime, version, ok: false, failures: [error], error },
  ...{ examples: 0, maxAbsDiff: Number.NaN, outputs: {} },
})

const same = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])
