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
          const from = index * pixels
          const to = i * pixels
          for (let p = 0; p < pixels; p++) input[to + p] = images[from + p]! / 255
        }
        yield count === most
          ? { input, label, count }
          : { input: input.subarray(0, count * pixels), label: label.subarray(0, count), count }
      }
    },
  }
}

/** Gives memory of so many bytes: an ArrayBuffer, or one that threads share. */
export type Allocate = (bytes: number) => ArrayBufferLike

/**
 * The same batches in memory of `allocate`, in two sets of arrays by turns: a batch stays as it is while the next one is
 * made, until the one after that is asked for.
 */
export function* alternating(source: Iterable<Batch>, allocate: Allocate): Generator<Batch> {
  const sets: [Batch?, Batch?] = []
  let turn: 0 | 1 = 0
  for (const { input, label, count } of source) {
    let own = sets[turn]
    if (!own || own.input.length < input.length || own.label.length < label.length) {
      const memory = allocate(input.byteLength)
      own = {
        input: input instanceof Int32Array ? new Int32Array(memory) : new Float32Array(memory),
        label: new Int32Array(allocate(label.byteLength)),
        count,
      }
      sets[turn] = own
    }
    own.input.set(input)
    own.label.set(label)
    yield {
      input: own.input.subarray(0, input.length),
      label: own.label.subarray(0, label.length),
      count,
    }
    turn = turn === 0 ? 1 : 0
  }
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
