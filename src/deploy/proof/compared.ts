import type { NdArray, TypedArray } from '../../graph/array.ts'
import { UserError } from '../../graph/errors.ts'
import { lookup, nth } from '../../graph/present.ts'
import { printable } from '../../graph/printable.ts'
import { argmaxAt, logSumExpAt } from '../../train/scores.ts'
import type { Agreement, ClassCount, Disagreement, OutputDifference } from './proof.ts'

type Arrays = Readonly<Record<string, NdArray>>
type Labels = ArrayLike<number> | undefined

/** Disagreements that are kept. */
const MOST_KEPT = 20
/** Classes are counted one by one up to here. */
const MOST_CLASSES = 1000

/** Variance, as a fraction of the mean square, below which it is rounding. */
const LEAST_SPREAD = 1e-9

/** Differences of one output, over all batches. */
class Differences {
  #max = 0
  #sum = 0
  #squares = 0
  #count = 0
  #total = 0
  #totalSquares = 0

  add(expected: TypedArray, got: TypedArray | undefined): void {
    if (expected.length !== got?.length) {
      this.#max = Number.NaN
      return
    }
    for (let i = 0; i < expected.length; i++) {
      const [x, y] = [expected[i], got[i]]
      // Integers are exact where floats would round them.
      const d = typeof x === 'bigint' && typeof y === 'bigint' ? Number(x - y) : Number(x) - Number(y)
      const off = Number(x) === Number(y) ? 0 : Math.abs(d)
      if (!(off <= this.#max)) this.#max = Number.isNaN(this.#max) ? this.#max : off
      this.#sum += off
      this.#squares += off * off
      this.#total += Number(x)
      this.#totalSquares += Number(x) ** 2
    }
    this.#count += expected.length
  }

  get(): OutputDifference {
    const n = this.#count
    const square = this.#totalSquares / n
    const variance = square - (this.#total / n) ** 2
    // An output that is always the same has no variance to compare with, only a size.
    const spread = Math.sqrt(variance > LEAST_SPREAD * square ? variance : square)
    const rms = Math.sqrt(this.#squares / n)
    return { max: this.#max, mean: this.#sum / n, error: rms === 0 ? 0 : rms / spread }
  }
}

/** Scores of classes among outputs: `logits`, or with labels the first output that has as many rows. */
function scoresOf(
  outputs: Arrays,
  labels: Labels,
): { readonly name: string; readonly classes: number } | undefined {
  const name = Object.hasOwn(outputs, 'logits') ? 'logits' : labels ? Object.keys(outputs)[0] : undefined
  if (name === undefined) return undefined
  const { data, dims } = lookup(outputs, name)
  const classes = labels ? data.length / labels.length : nth(dims, dims.length - 1)
  return data instanceof Float32Array && dims.length > 1 && Number.isInteger(classes) && classes > 1
    ? { name, classes }
    : undefined
}

/** What a file answers, beside what its reference answers. */
export class Comparison {
  readonly #outputs = new Map<string, Differences>()
  readonly #classes = new Map<number, { count: number; reference: number; file: number }>()
  readonly #others = new Set<string>()
  #kept: Disagreement[] = []
  #count = 0
  #same = 0
  #disagreed = 0
  #labelled = false
  #right = { reference: 0, file: 0 }

  /** @throws UserError for an output that the file does not have */
  add(expected: Arrays, got: Arrays, labels?: ArrayLike<number>): void {
    const own = Object.keys(got)
    const single = Object.keys(expected).length === 1 && own.length === 1
    const pairs: Record<string, { readonly a: NdArray; readonly b: NdArray }> = {}
    for (const [name, a] of Object.entries(expected)) {
      const b = got[name] ?? (single ? got[nth(own, 0)] : undefined)
      if (!b)
        throw new UserError(
          `has no output ${printable(name)}, only ${own.map(n => printable(n)).join(', ')}; the reference returns it`,
        )
      pairs[name] = { a, b }
      const differences = this.#outputs.get(name) ?? new Differences()
      this.#outputs.set(name, differences)
      differences.add(a.data, b.data)
    }
    const scores = scoresOf(expected, labels)
    if (!scores) return
    // Integers are answers, too: a class that is another one is as far off as it happens to be numbered.
    for (const [name, { data }] of Object.entries(expected))
      if (name !== scores.name && data instanceof Float32Array) this.#others.add(name)
    const { a, b } = lookup(pairs, scores.name)
    if (a.data.length === b.data.length) this.#answers(a.data, b.data, scores.classes, labels)
  }

  #answers(a: TypedArray, b: TypedArray, classes: number, labels: Labels): void {
    const [x, y] = [Float64Array.from(a, Number), Float64Array.from(b, Number)]
    const rows = x.length / classes
    for (let i = 0; i < rows; i++) {
      const at = i * classes
      const [reference, file] = [argmaxAt(x, at, classes), argmaxAt(y, at, classes)]
      const truth = labels?.[i]
      if (truth !== undefined) this.#label(truth, reference, file, classes)
      if (reference === file) this.#same++
      else {
        this.#disagreed++
        let difference = 0
        for (let k = at; k < at + classes; k++)
          difference = Math.max(difference, Math.abs(at64(x, k) - at64(y, k)))
        const sure = (z: Float64Array, c: number) => Math.exp(at64(z, at + c) - logSumExpAt(z, at, classes))
        this.#keep({
          ...{
            index: this.#count + i,
            ...(truth === undefined ? {} : { truth }),
            reference,
            file,
            difference,
          },
          certainty: { reference: sure(x, reference), file: sure(y, file) },
        })
      }
    }
    this.#count += rows
  }

  #label(truth: number, reference: number, file: number, classes: number): void {
    if (!(truth >= 0 && truth < classes))
      throw new UserError(
        `returns ${classes} scores, but the data have a label ${truth}: model and data do not match`,
      )
    this.#labelled = true
    const own = this.#classes.get(truth) ?? { count: 0, reference: 0, file: 0 }
    this.#classes.set(truth, own)
    own.count++
    if (reference === truth) {
      own.reference++
      this.#right.reference++
    }
    if (file === truth) {
      own.file++
      this.#right.file++
    }
  }

  #keep(one: Disagreement): void {
    this.#kept.push(one)
    this.#kept.sort((a, b) => b.difference - a.difference)
    this.#kept.length = Math.min(this.#kept.length, MOST_KEPT)
  }

  get outputs(): Readonly<Record<string, OutputDifference>> {
    return Object.fromEntries([...this.#outputs].map(([name, d]) => [name, d.get()]))
  }

  /** Of a classifier: outputs of real numbers that are not its scores. */
  get others(): Readonly<Record<string, OutputDifference>> {
    return Object.fromEntries(Object.entries(this.outputs).filter(([name]) => this.#others.has(name)))
  }

  /** The largest difference of all outputs; NaN is the largest. */
  get maxAbsDiff(): number {
    const all = Object.values(this.outputs).map(({ max }) => max)
    return all.length ? Math.max(...all) : Number.NaN
  }

  /** Of a classifier. */
  get answers(): Agreement | undefined {
    const count = this.#count
    if (!count) return undefined
    const [reference, file] = [this.#right.reference / count, this.#right.file / count]
    const most = Math.max(-1, ...this.#classes.keys())
    const none: ClassCount = { count: 0, reference: 0, file: 0 }
    const classes = Array.from({ length: most + 1 }, (_, label) => this.#classes.get(label) ?? none)
    return {
      ...{ count, agreement: this.#same / count, disagreed: this.#disagreed, disagreements: this.#kept },
      ...(this.#labelled ? { accuracy: { reference, file, drop: 100 * (reference - file) } } : {}),
      ...(this.#labelled && classes.length <= MOST_CLASSES ? { classes } : {}),
    }
  }
}

/** In loops over numbers, where `nth` is slow. */
const at64 = (values: Float64Array, i: number): number => values[i] ?? Number.NaN
