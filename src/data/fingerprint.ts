import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import type { NdArray } from '../graph/array.ts'
import { fieldsOf } from '../graph/keys.ts'
import type { Shape } from '../graph/shape.ts'
import { asNdArray } from './arrays.ts'
import { batches } from './batches.ts'
import type { DataSource, Dataset } from './dataset.ts'

/** What a data set is recognized by. Neither its name nor its place is part of it: data may be moved. */
export interface Fingerprint {
  /** How many examples there are, where that is known. */
  readonly size?: number | undefined
  /** Of one example's input. */
  readonly shape: Shape
  /** Of the names of the classes. */
  readonly classes: string
  /** Of labels and of a sample of the values, which has some of each example where that is possible. */
  readonly content: string
}

/** Of each set of a data source. */
export interface Fingerprints {
  /** Of the training set. */
  readonly train: Fingerprint
  /** Of the validation set. */
  readonly val?: Fingerprint
  /** Of the test set. */
  readonly test?: Fingerprint
  /** What prepared the pictures. Content prepared by others cannot be compared. */
  readonly preparedBy?: string
}

/** The most bytes that are hashed of a set's inputs, and of its labels. */
const SAMPLE = 2 ** 20

/** Of data that come in batches, so many are looked at, of so many examples. */
const BATCHES = 16
const BATCH = 64

/** 128 bits are more than enough to tell data apart. */
const HEX_DIGITS = 32

const hashOf = (...parts: readonly Uint8Array[]): string => {
  const hash = sha256.create()
  for (const part of parts) hash.update(part)
  return bytesToHex(hash.digest()).slice(0, HEX_DIGITS)
}

/** Takes milliseconds, whatever the size of the data. */
export async function fingerprint(data: Dataset): Promise<Fingerprint> {
  const { size, classes } = data
  return {
    ...(size === undefined ? {} : { size }),
    shape: shapeOf(data),
    classes: hashOf(utf8ToBytes(JSON.stringify(classes ?? []))),
    content: hashOf(...(await contentOf(data))),
  }
}

/** What each set of a data source is recognized by; takes milliseconds, whatever its size. */
export async function fingerprints({ train, val, test, preparedBy }: DataSource): Promise<Fingerprints> {
  return {
    train: await fingerprint(train),
    ...(val ? { val: await fingerprint(val) } : {}),
    ...(test ? { test: await fingerprint(test) } : {}),
    ...(preparedBy === undefined ? {} : { preparedBy }),
  }
}

function shapeOf(data: Dataset): Shape {
  if ('images' in data) return [...data.shape]
  if ('arrays' in data) return Object.values(data.arrays)[0]?.dims.slice(1) ?? []
  return [...(Object.values(data.features ?? {})[0]?.shape ?? [])]
}

async function contentOf(data: Dataset): Promise<readonly Uint8Array[]> {
  if ('images' in data) return [sampled(data.images, data.size), sampled(data.labels, data.size)]
  if ('arrays' in data) return Object.entries(data.arrays).flatMap(sampledArray)
  if (data.content) return [sampled(data.content, data.size ?? 1)]
  const parts: Uint8Array[] = []
  let bytes = 0
  let seen = 0
  for await (const batch of batches(data, { batch: Math.min(BATCH, data.size ?? BATCH) })) {
    // Their arrays are the next batch's.
    const own = Object.entries(batch).flatMap(([name, value]) =>
      sampledArray([name, asNdArray(name, value)]).map(part => part.slice()),
    )
    parts.push(...own)
    bytes += own.reduce((n, part) => n + part.length, 0)
    if (bytes >= SAMPLE || ++seen >= BATCHES) break
  }
  return parts
}

/** An array with its name and shape. */
const sampledArray = ([name, { data, dims }]: [string, NdArray]): readonly Uint8Array[] => [
  utf8ToBytes(JSON.stringify([name, dims])),
  sampled(data, dims[0] ?? 1),
]

type Values = NdArray['data'] | Uint16Array

/**
 * The bytes of some values of each of `rows` rows, at other places in each row, so that a row cannot be replaced unnoticed; of some
 * rows where there are too many.
 */
function sampled(values: Values, rows: number): Uint8Array {
  const width = values.BYTES_PER_ELEMENT
  const most = SAMPLE / width
  const all = bytesOf(values)
  if (values.length <= most) return all
  const length = Math.floor(values.length / rows)
  const each = Math.max(1, Math.min(length, Math.floor(most / rows)))
  const step = Math.ceil((rows * each) / most)
  const stride = Math.floor(length / each)
  const taken = new Uint8Array(Math.ceil(rows / step) * each * width)
  let at = 0
  for (let row = 0; row < rows; row += step) {
    let place = (Math.imul(row, 0x9e3779b1) >>> 0) % length
    for (let i = 0; i < each; i++) {
      const from = (row * length + place) * width
      for (let byte = 0; byte < width; byte++) taken[at++] = Number(all[from + byte])
      place += stride
      if (place >= length) place -= length
    }
  }
  return taken
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Values): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

/** How data differ from those of a run. */
export interface Comparison {
  /** What differs, in words; empty where it is the same data. */
  readonly differences: readonly string[]
  /** What could not be compared. */
  readonly notice?: string
}

const NAMES = { train: 'training set', val: 'validation set', test: 'test set' } as const
type SetName = keyof typeof NAMES

/** Compares the fingerprints of a run's data with those of the data at hand. @param sets those that matter */
export function compare(
  run: Fingerprints,
  data: Fingerprints,
  sets: readonly SetName[] = ['train', 'val', 'test'],
): Comparison {
  const comparable = run.preparedBy === data.preparedBy
  const found = sets.map(key => differencesOf(NAMES[key], run[key], data[key]))
  const differences = found.flatMap(({ about, content }) => (comparable && content ? [content] : about))
  if (comparable || !found.some(({ content }) => content)) return { differences }
  const [theirs, ours] = [run, data].map(({ preparedBy }) => preparedBy ?? 'an unknown program')
  return {
    differences,
    notice: `the pictures were prepared by ${theirs}, now by ${ours}: their pixels may differ slightly, so the pictures are not compared`,
  }
}

interface Differences {
  readonly about: readonly string[]
  /** Where they differ in nothing but their content. */
  readonly content?: string
}

function differencesOf(
  name: string,
  run: Fingerprint | undefined,
  data: Fingerprint | undefined,
): Differences {
  if (!run) return { about: data ? [`there is a ${name} of ${count(data.size)}, but the run has none`] : [] }
  if (!data) return { about: [`there is no ${name}, but the run has one of ${count(run.size)}`] }
  const about: string[] = []
  if (data.size !== run.size)
    about.push(`the ${name} has ${count(data.size)}, but the run's has ${count(run.size)}`)
  const [ours, theirs] = [data, run].map(({ shape }) => shape.join('×'))
  if (ours !== theirs) about.push(`the ${name} has examples of ${ours}, but the run's are ${theirs}`)
  if (data.classes !== run.classes)
    about.push(`the ${name} has different classes, or the same classes in a different order`)
  if (about.length || data.content === run.content) return { about }
  return { about, content: `the ${name} has the same number of examples but different content` }
}

const count = (n: number | undefined): string =>
  n === undefined ? 'an unknown number of examples' : `${n.toLocaleString('en-US')} examples`

/** Whether a value that was read from a file is what {@link fingerprints} gives. */
export function areFingerprints(value: unknown): value is Fingerprints {
  const sets = fieldsOf(value)
  const sound = (set: unknown): boolean => {
    const { size, shape, classes, content } = fieldsOf(set)
    const sizes = Array.isArray(shape) ? shape.filter(d => typeof d !== 'string') : [undefined]
    const whole = [size ?? 0, ...sizes].every(Number.isSafeInteger)
    return whole && typeof classes === 'string' && typeof content === 'string'
  }
  return (
    sound(sets.train) &&
    (sets.test === undefined || sound(sets.test)) &&
    (sets.val === undefined || sound(sets.val)) &&
    (sets.preparedBy === undefined || typeof sets.preparedBy === 'string')
  )
}
