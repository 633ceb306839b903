import { UserError } from '../graph/errors.ts'
import { hash, rng } from '../graph/random.ts'
import type { Dataset } from './dataset.ts'

export interface BatchOptions {
  /** Images per batch; the last batch of an epoch may hold fewer. */
  readonly batch: number
  /** With `epoch` decides the order, wholly: an epoch can be repeated or resumed. Default 0. */
  readonly seed?: number
  /** Default 0. */
  readonly epoch?: number
  /** False keeps the data's own order. Default true. */
  readonly shuffle?: boolean
  /** Batches to leave out at the start, to resume an epoch in its middle. Default 0. */
  readonly skip?: number
}

export interface Batch {
  /** Images `[count, channels, height, width]` with pixels in [0, 1], or rows of tokens `[count, T]`. */
  readonly input: Float32Array | Int32Array
  /** Class indices: `[count]`, or `[count, T]` where each token has one. */
  readonly label: Int32Array
  readonly count: number
}

/**
 * One epoch in batches. Every image comes once, the last batch holding what is left over.
 *
 * All batches of an iteration share two arrays, which the next batch overwrites: copy what must outlive the step.
 * The last, smaller batch is a view of their beginning.
 */
export function batches(dataset: Dataset, options: BatchOptions): Iterable<Batch> {
  const { batch, seed = 0, epoch = 0, shuffle = true, skip = 0 } = options
  if (!Number.isInteger(batch) || batch < 1)
    throw new UserError(`batch ${batch} is not a whole number above 0`)
  if ('batches' in dataset) return dataset.batches(options)
  const { size, images, labels, shape } = dataset
  const pixels = shape[0] * shape[1] * shape[2]

  return {
    *[Symbol.iterator]() {
      const order = shuffle ? permutation(size, seed, epoch) : undefined
      const most = Math.min(batch, size)
      const input = new Float32Array(most * pixels)
      const label = new Int32Array(most)
      for (let start = skip * batch; start < size; start += batch) {
        const count = Math.min(batch, size - start)
        for (let i = 0; i < count; i++) {
          const index = order ? order[start + i]! : start + i
          label[i] = labels[index]!
          scale(images, index * pixels, input, i * pixels, pixels)
        }
        yield count === most
          ? { input, label, count }
          : { input: input.subarray(0, count * pixels), label: label.subarray(0, count), count }
      }
    },
  }
}

/** Each byte as a pixel in [0, 1]. */
const PIXEL = Float32Array.from({ length: 256 }, (_, byte) => byte / 255)

/** A function of its own, which engines compile better than the body of a generator. */
function scale(bytes: Uint8Array, from: number, pixels: Float32Array, to: number, size: number): void {
  for (let p = 0; p < size; p++) pixels[to + p] = PIXEL[bytes[from + p]!]!
}

/** Gives memory of so many bytes: an ArrayBuffer, or one that threads share. */
export type Allocate = (bytes: number) => ArrayBufferLike

/** One or more batches of the same size, one after the other in memory. */
export interface Batches extends Batch {
  /** How many batches `input` and `label` hold; each has `count` examples. */
  readonly steps: number
}

/**
 * The same batches in memory of `allocate`, in two sets of arrays by turns: what was given stays as it is while the next
 * is made, until the one after that is asked for.
 * @param together how many batches are given at a time; those that are too few for it, or of another size, come singly
 */
export function* alternating(source: Iterable<Batch>, allocate: Allocate, together = 1): Generator<Batches> {
  const sets: Arrays[] = []
  let turn = 0
  let kept: Batch[] = []
  function* singly(): Generator<Batches> {
    for (const b of kept) yield { ...b, steps: 1 }
    kept = []
    turn = 1 - turn
  }
  for (const { input, label, count } of source) {
    if (kept.length && kept[0]!.count !== count) yield* singly()
    if (!kept.length) sets[turn] = fitting(sets[turn], { input, label }, together, allocate)
    const own = sets[turn]!
    const at = kept.length
    kept.push({ input: put(own.input, input, at), label: put(own.label, label, at), count })
    if (kept.length < together) continue
    yield {
      input: own.input.subarray(0, together * input.length),
      label: own.label.subarray(0, together * label.length),
      count,
      steps: together,
    }
    kept = []
    turn = 1 - turn
  }
  yield* singly()
}

type Arrays = Pick<Batch, 'input' | 'label'>

/** `own` where it has room for so many batches like `b`, or arrays that have. */
function fitting(own: Arrays | undefined, b: Arrays, together: number, allocate: Allocate): Arrays {
  const room = (a: ArrayLike<number>, needed: ArrayLike<number>) => a.length >= together * needed.length
  if (own && room(own.input, b.input) && room(own.label, b.label)) return own
  const memory = allocate(together * b.input.byteLength)
  return {
    input: b.input instanceof Int32Array ? new Int32Array(memory) : new Float32Array(memory),
    label: new Int32Array(allocate(together * b.label.byteLength)),
  }
}

/** Copies values to the place of the batch with that number; gives them there. */
function put<A extends Float32Array | Int32Array>(into: A, values: A, at: number): A {
  into.set(values, at * values.length)
  return into.subarray(at * values.length, (at + 1) * values.length) as A
}

/** The order of one epoch: 0 … size − 1 shuffled (Fisher–Yates), a pure function of size, seed and epoch. */
export function permutation(size: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: size }, (_, i) => i)
  const random = rng(hash('epoch', seed, epoch))
  for (let i = size - 1; i > 0; i--) {
    const j = random.int(i + 1)
    const swapped = order[i]!
    order[i] = order[j]!
    order[j] = swapped
  }
  return order
}
