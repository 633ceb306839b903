import { UserError } from '../graph/errors.ts'
import { lookup } from '../graph/present.ts'
import type { Dim } from '../graph/shape.ts'
import { type ArrayPort, isArrayValue, toNdArray } from './arrays.ts'
import type { ArrayDataset, DataSource, Dataset, UserBatch } from './dataset.ts'

/** Batches that can be iterated more than once: an array, an object with an iterator, or a function that gives one. */
export type BatchStream =
  | Iterable<UserBatch>
  | AsyncIterable<UserBatch>
  | (() => Iterable<UserBatch> | AsyncIterable<UserBatch>)

/** Examples as users provide them: arrays by name `[size, ...]`, a data set, or a stream of batches. */
export type DataInput = UserBatch | Dataset | BatchStream

/** Training data, with optional validation and test data. */
export interface SplitInput {
  /** To train on. */
  readonly train: DataInput
  /** Validation data, used to choose the best epoch. */
  readonly val?: DataInput | undefined
  /** Test data: evaluated once, at the end, or after each epoch if there is no validation set. */
  readonly test?: DataInput | undefined
}

/** Training data, with optional validation and test data. */
export type SourceInput = DataInput | DataSource | SplitInput

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

const isDataset = (input: object): input is Dataset =>
  'name' in input &&
  typeof input.name === 'string' &&
  ('images' in input || 'arrays' in input || ('batches' in input && typeof input.batches === 'function'))

const isIterable = (input: object): input is Iterable<UserBatch> | AsyncIterable<UserBatch> =>
  Symbol.iterator in input || Symbol.asyncIterator in input

/** Arrays that a model or task reads, by name. */
type Ports = Readonly<Record<string, ArrayPort>>

/**
 * A user's examples as a data set.
 * @param name its name in error messages @param ports what is read of it
 * @throws UserError when arrays do not fit, or differ in their number of examples
 */
export function datasetOf(name: string, input: DataInput, ports: Ports): Dataset {
  if (typeof input === 'function') return streamed(name, input)
  if (!isObject(input))
    throw new UserError(`${name}: is ${String(input)}; give arrays by name, a data set, or batches`)
  if (isDataset(input)) return input
  if (isIterable(input)) return streamed(name, () => input)
  return arrayDataset(name, input, ports)
}

/** A stream as a data set: its own order and batches; those that a resumed epoch has done are made and left out. */
const streamed = (name: string, begin: () => Iterable<UserBatch> | AsyncIterable<UserBatch>): Dataset => ({
  name,
  batches: ({ skip = 0 }) => (skip ? without(begin(), skip) : begin()),
})

async function* without<T>(source: Iterable<T> | AsyncIterable<T>, skip: number): AsyncGenerator<T> {
  let left = skip
  for await (const item of source) if (left-- <= 0) yield item
}

/**
 * Examples in memory.
 * @param arrays by name, `[size, ...]` each, but for those whose port has no batch; what `ports` does not name is left out
 */
export function arrayDataset(name: string, arrays: UserBatch, ports: Ports): ArrayDataset {
  const sizes: Record<string, Dim> = {}
  const given = Object.keys(ports).filter(key => arrays[key] !== undefined)
  const missing = Object.keys(ports).filter(key => arrays[key] === undefined)
  if (!given.length)
    throw new UserError(
      `${name}: has ${Object.keys(arrays).join(', ') || 'no arrays'}, but none of ${Object.keys(ports).join(', ')}`,
    )
  const own = Object.fromEntries(
    given.map(key => {
      const port = lookup(ports, key)
      const array = toNdArray(`${name}: ${key}`, lookup(arrays, key), port, {})
      if (port.shape[0] === 'batch') sizes[key] = array.dims[0] ?? 0
      return [key, array]
    }),
  )
  const [first = ['', 1], ...others] = Object.entries(sizes)
  const [key, size] = first
  const odd = others.find(([, n]) => n !== size)
  if (odd)
    throw new UserError(
      `${name}: ${key} has ${size} examples, but ${odd[0]} has ${odd[1]}; the counts must be equal`,
    )
  if (missing.length)
    throw new UserError(`${name}: has no ${missing.join(', ')}, only ${Object.keys(arrays).join(', ')}`)
  const shared = given.filter(key => lookup(ports, key).shape[0] !== 'batch')
  return { name, size: Number(size), arrays: own, ...(shared.length ? { shared } : {}) }
}

/** Whether a value has training data beside others, rather than being training data. */
const isSplit = (input: SourceInput): input is DataSource | SplitInput =>
  isObject(input) && 'train' in input && !isArrayValue(input.train) && !isDataset(input)

/** A user's data as a source. @param ports what is read for training and for judging */
export function sourceOf(
  input: SourceInput,
  ports: { readonly train: Ports; readonly evaluate: Ports },
): DataSource {
  if (!isSplit(input)) return { train: datasetOf('data', input, ports.train), origin: 'arrays' }
  const { val, test } = input
  return {
    origin: 'arrays',
    ...input,
    train: datasetOf('train', input.train, ports.train),
    ...(val === undefined ? {} : { val: datasetOf('val', val, ports.evaluate) }),
    ...(test === undefined ? {} : { test: datasetOf('test', test, ports.evaluate) }),
  } as DataSource
}
