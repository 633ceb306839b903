import type { NdArray } from '../graph/array.ts'
import { UserError } from '../graph/errors.ts'
import { lookup, nth } from '../graph/present.ts'
import { hash } from '../graph/random.ts'
import { permutation } from './batches.ts'
import type { BatchedDataset, BatchOptions, UserBatch } from './dataset.ts'

/** One sequence per example, of numbers or of equally long rows of numbers. */
export type Sequences = readonly (readonly number[] | readonly (readonly number[])[] | ArrayLike<number>)[]

/** Options of `pad`. */
export interface PadOptions {
  /** Its name in error messages. @default 'sequences' */
  readonly name?: string
  /** Names of the classes, by label. */
  readonly classes?: readonly string[]
  /** Arrays whose examples are vectors of one size rather than sequences. @default none */
  readonly fixed?: readonly string[]
  /** Value that fills the end of a sequence. @default 0 */
  readonly value?: number
  /** Arrays of integers, int32. @default those with nothing but integers */
  readonly integers?: readonly string[]
}

/** An array of the data set. */
interface Column {
  readonly name: string
  readonly isSequence: boolean
  readonly isInteger: boolean
  /** Size of the rows of a sequence, or of a vector; undefined for numbers. */
  readonly width: number | undefined
  readonly values: readonly unknown[]
}

const isList = (v: unknown): v is ArrayLike<unknown> => Array.isArray(v) || ArrayBuffer.isView(v)

/** All numbers of an example. */
const numbersOf = (v: unknown): readonly number[] =>
  isList(v) ? (Array.from(v).flat(2) as number[]) : [Number(v)]

function columnOf(name: string, values: readonly unknown[], { fixed = [], integers }: PadOptions): Column {
  const isSequence = isList(values[0]) && !fixed.includes(name)
  const rows = isSequence ? values.flatMap(v => Array.from(v as ArrayLike<unknown>).slice(0, 1)) : values
  const width = isList(rows[0]) ? rows[0].length : undefined
  const isInteger = integers
    ? integers.includes(name)
    : values.every(v => numbersOf(v).every(Number.isInteger))
  return { name, isSequence, isInteger, width, values }
}

/** Length of each example's sequences. @throws UserError where those of an example differ */
function lengthsOf(what: string, columns: readonly Column[]): number[] {
  const [first, ...others] = columns.filter(c => c.isSequence)
  if (!first) throw new UserError(`${what}: none of its arrays holds sequences`)
  const length = (c: Column, i: number) => (c.values[i] as ArrayLike<unknown>).length
  return first.values.map((_, i) => {
    const odd = others.find(c => length(c, i) !== length(first, i))
    if (odd)
      throw new UserError(
        `${what}: example ${i} has ${length(first, i)} of ${first.name} and ${length(odd, i)} of ${odd.name}; all sequences of an example must have the same length`,
      )
    return length(first, i)
  })
}

/**
 * Sequences of different lengths as a data set: batches hold sequences of similar length, padded to the smallest bucket that fits,
 * together with a float32 `mask` `[B, T]` that is 1 for elements of a sequence and 0 for padding.
 * @param arrays by name, an entry per example: a sequence, or a number
 * @param buckets the lengths of batches for each symbol, such as `{ T: [16, 64] }`; one symbol
 * @throws UserError when a sequence is longer than the longest bucket, or arrays do not match
 */
export function pad(
  arrays: Readonly<Record<string, Sequences | ArrayLike<number>>>,
  buckets: Readonly<Record<string, readonly number[]>>,
  options: PadOptions = {},
): BatchedDataset {
  const { name = 'sequences', classes, value = 0 } = options
  const columns = Object.entries(arrays).map(([key, v]) =>
    columnOf(key, Array.from(v as ArrayLike<unknown>), options),
  )
  const size = columns[0]?.values.length ?? 0
  const odd = columns.find(c => c.values.length !== size)
  if (odd)
    throw new UserError(
      `${name}: ${nth(columns, 0).name} has ${size} examples, but ${odd.name} has ${odd.values.length}`,
    )
  if (!size) throw new UserError(`${name}: has no examples`)
  const [symbol, ...more] = Object.keys(buckets)
  if (symbol === undefined || more.length)
    throw new UserError(`${name}: buckets must name one symbol, such as { T: [16, 64] }`)
  const sizes = [...lookup(buckets, symbol)].sort((a, b) => a - b)
  const lengths = lengthsOf(name, columns)
  const bucketOf = lengths.map((n, i) => {
    const found = sizes.find(s => s >= n)
    if (found === undefined)
      throw new UserError(
        `${name}: example ${i} has length ${n}, but the longest bucket is ${sizes.at(-1) ?? 'none'}`,
      )
    return found
  })

  /** The examples of an epoch's batches. */
  function plan({
    batch,
    seed = 0,
    epoch = 0,
    shuffle = true,
  }: BatchOptions): { bucket: number; rows: number[] }[] {
    const order = shuffle ? Array.from(permutation(size, seed, epoch)) : [...lengths.keys()]
    const batches = sizes.flatMap(bucket => {
      const own = order.filter(i => bucketOf[i] === bucket)
      return Array.from({ length: Math.ceil(own.length / batch) }, (_, b) => ({
        bucket,
        rows: own.slice(b * batch, (b + 1) * batch),
      }))
    })
    if (!shuffle) return batches
    return Array.from(permutation(batches.length, hash(seed, 'buckets'), epoch), i => nth(batches, i))
  }

  const padded = (
    { isSequence, isInteger, width, values }: Column,
    rows: readonly number[],
    bucket: number,
  ): NdArray => {
    const per = (isSequence ? bucket : 1) * (width ?? 1)
    const length = rows.length * per
    const data = isInteger ? new Int32Array(length) : new Float32Array(length)
    if (isSequence && value) data.fill(value)
    for (const [i, row] of rows.entries()) data.set(numbersOf(values[row]), i * per)
    const dims = [rows.length, ...(isSequence ? [bucket] : []), ...(width === undefined ? [] : [width])]
    return { data, dims }
  }

  const maskOf = (rows: readonly number[], bucket: number): NdArray => {
    const data = new Float32Array(rows.length * bucket)
    for (const [i, row] of rows.entries()) data.fill(1, i * bucket, i * bucket + nth(lengths, row))
    return { data, dims: [rows.length, bucket] }
  }

  return {
    name,
    size,
    classes,
    features: Object.fromEntries([
      ...columns.map(c => [
        c.name,
        {
          dtype: c.isInteger ? 'int32' : 'float32',
          shape: [...(c.isSequence ? [symbol] : []), ...(c.width === undefined ? [] : [c.width])],
        },
      ]),
      ['mask', { dtype: 'float32', shape: [symbol] }],
    ]),
    batchesOf: batch =>
      sizes.reduce((n, s) => n + Math.ceil(bucketOf.filter(b => b === s).length / batch), 0),
    *batches(o): Generator<UserBatch> {
      for (const { bucket, rows } of plan(o).slice(o.skip ?? 0))
        yield {
          ...Object.fromEntries(columns.map(c => [c.name, padded(c, rows, bucket)])),
          mask: maskOf(rows, bucket),
        }
    },
  }
}
