import { UserError } from '../graph/errors.ts'
import { hash, rng } from '../graph/random.ts'
import type { Augmentation } from './augment.ts'
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
  /**
   * Changes the images. What becomes of one depends on seed, epoch and its index in the data set, what it is mixed with
   * on seed, epoch and the number of the batch: not on what was made before. For images only.
   */
  readonly augment?: Augmentation
}

type Values = Float32Array | Int32Array

export interface Batch {
  /** Images `[count, channels, height, width]` with pixels in [0, 1], or rows of tokens `[count, T]`. */
  readonly input: Values
  /** Class indices: `[count]`, or `[count, T]` where each token has one. */
  readonly label: Int32Array
  readonly count: number
  /** Of images that are mixtures of two: `label` holds the class of the first. */
  readonly mixed?: Mixed
}

export interface Mixed {
  /** The class of the second: `[count]`. */
  readonly label: Int32Array
  /** How much of the mixture the first is: `[count]`, in [0, 1]. */
  readonly share: Float32Array
}

/**
 * One epoch in batches. Every image comes once, the last batch holding what is left over.
 *
 * All batches of an iteration share their arrays, which the next batch overwrites: copy what must outlive the step.
 * The last, smaller batch is a view of their beginning.
 */
export function batches(dataset: Dataset, options: BatchOptions): Iterable<Batch> {
  const { batch, seed = 0, epoch = 0, shuffle = true, skip = 0, augment } = options
  if (!Number.isInteger(batch) || batch < 1)
    throw new UserError(`batch ${batch} is not a whole number above 0`)
  if ('batches' in dataset) {
    if (augment)
      throw new UserError(
        `${dataset.name} makes its own batches; only images can be augmented: leave augment out`,
      )
    return dataset.batches(options)
  }
  const { size, images, labels, shape } = dataset
  const pixels = shape[0] * shape[1] * shape[2]

  return {
    *[Symbol.iterator]() {
      const order = shuffle ? permutation(size, seed, epoch) : undefined
      const most = Math.min(batch, size)
      const input = new Float32Array(most * pixels)
      const label = new Int32Array(most)
      const other = new Int32Array(most)
      const share = new Float32Array(most)
      const augmenter = augment?.of(shape)
      for (let number = skip; number * batch < size; number++) {
        const start = number * batch
        const count = Math.min(batch, size - start)
        for (let i = 0; i < count; i++) {
          const index = order ? order[start + i]! : start + i
          label[i] = labels[index]!
          scale(images, index * pixels, input, i * pixels, pixels)
          augmenter?.image(
            input.subarray(i * pixels, (i + 1) * pixels),
            rng(hash('augment', seed, epoch, index)),
          )
        }
        const made = { input: input.subarray(0, count * pixels), label: label.subarray(0, count), count }
        const mixed = { label: other.subarray(0, count), share: share.subarray(0, count) }
        augmenter?.mix?.(made.input, made.label, mixed, rng(hash('mix', seed, epoch, number)))
        yield augmenter?.mix ? { ...made, mixed } : made
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
  const sets: ArrayBufferLike[][] = [[], []]
  let turn = 0
  let kept: Batch[] = []
  function* singly(): Generator<Batches> {
    for (const b of kept) yield { ...b, steps: 1 }
    kept = []
    turn = 1 - turn
  }
  for (const batch of source) {
    if (kept[0] && !alike(kept[0], batch)) yield* singly()
    const { count } = batch
    const memory = sets[turn]!
    const own = arrays(batch, (values, which) => {
      const bytes = together * values.byteLength
      if (!kept.length && (memory[which]?.byteLength ?? 0) < bytes) memory[which] = allocate(bytes)
      return over(memory[which]!, values, 0, together)
    })
    const at = kept.length
    const put = <A extends Values>(values: A, which: number): A => {
      const place = over(memory[which]!, values, at, 1)
      place.set(values)
      return place
    }
    kept.push({ ...arrays(batch, put), count })
    if (kept.length < together) continue
    yield { ...own, count, steps: together }
    kept = []
    turn = 1 - turn
  }
  yield* singly()
}

type Arrays = Omit<Batch, 'count'>

/** Whether they can lie one after the other: as many examples, with or without a mixture. */
const alike = (a: Batch, b: Batch): boolean => a.count === b.count && !a.mixed === !b.mixed

/** The same with each of its arrays, the `which`th of four, replaced. */
function arrays(b: Arrays, by: <A extends Values>(values: A, which: number) => A): Arrays {
  const { input, label, mixed } = b
  return {
    input: by(input, 0),
    label: by(label, 1),
    ...(mixed && { mixed: { label: by(mixed.label, 2), share: by(mixed.share, 3) } }),
  }
}

/** The memory as values like those, `times` as many, from the place where those of batch `at` go. */
function over<A extends Values>(memory: ArrayBufferLike, like: A, at: number, times: number): A {
  const [from, length] = [at * like.byteLength, times * like.length]
  const values =
    like instanceof Int32Array ? new Int32Array(memory, from, length) : new Float32Array(memory, from, length)
  return values as A
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
