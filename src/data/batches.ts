import { copyElements, type NdArray } from '../graph/array.ts'
import { UserError } from '../graph/errors.ts'
import { hash, rng } from '../graph/random.ts'
import type { ArrayDataset, BatchOptions, Dataset, Feature, ImageDataset, UserBatch } from './dataset.ts'

/** Arrays of a batch by name, each with its examples along the first axis. */
export type Batch = Readonly<Record<string, NdArray>>

/** Whether the examples themselves are there, rather than a function that makes batches of them. */
export const inMemory = (dataset: Dataset): dataset is ImageDataset | ArrayDataset => !('batches' in dataset)

/** The arrays of a data set's examples, by name; undefined where only its batches tell. */
export function featuresOf(dataset: Dataset): Readonly<Record<string, Feature>> | undefined {
  if (!inMemory(dataset)) return dataset.features
  if ('arrays' in dataset) return undefined
  return {
    image: { dtype: 'float32', shape: dataset.shape },
    label: { dtype: 'int32', shape: [] },
  }
}

/**
 * One epoch in batches: arrays by name. Every example comes once, the last batch holding what is left over.
 *
 * All batches of an iteration over images or arrays share their memory, which the next batch overwrites: copy what must
 * outlive the step.
 */
export function batches(dataset: ImageDataset | ArrayDataset, options: BatchOptions): Iterable<Batch>
export function batches(
  dataset: Dataset,
  options: BatchOptions,
): Iterable<UserBatch> | AsyncIterable<UserBatch>
export function batches(
  dataset: Dataset,
  options: BatchOptions,
): Iterable<UserBatch> | AsyncIterable<UserBatch> {
  const { batch, augment } = options
  if (!Number.isInteger(batch) || batch < 1)
    throw new UserError(`batch must be a whole number above 0, not ${batch}`)
  const images = inMemory(dataset) && 'images' in dataset
  if (augment && !images)
    throw new UserError(
      `${dataset.name} does not hold images, and only images can be augmented: remove augment`,
    )
  if (!inMemory(dataset)) return dataset.batches(options)
  return 'images' in dataset ? imageBatches(dataset, options) : arrayBatches(dataset, options)
}

/** Index of each example of an epoch, in order. */
const orderOf = (
  size: number,
  { seed = 0, epoch = 0, shuffle = true }: BatchOptions,
): Uint32Array | undefined => (shuffle ? permutation(size, seed, epoch) : undefined)

function* imageBatches(dataset: ImageDataset, options: BatchOptions): Generator<Batch> {
  const { batch, seed = 0, epoch = 0, skip = 0, augment } = options
  const { size, images, labels, shape } = dataset
  const pixels = shape[0] * shape[1] * shape[2]
  const order = orderOf(size, options)
  const most = Math.min(batch, size)
  const input = new Float32Array(most * pixels)
  const label = new Int32Array(most)
  const mixedLabel = new Int32Array(most)
  const mixedShare = new Float32Array(most)
  const augmenter = augment?.of(shape)
  for (let number = skip; number * batch < size; number++) {
    const start = number * batch
    const count = Math.min(batch, size - start)
    for (let i = 0; i < count; i++) {
      const index = order ? Number(order[start + i]) : start + i
      label[i] = Number(labels[index])
      scale(images, index * pixels, input, i * pixels, pixels)
      augmenter?.image(input.subarray(i * pixels, (i + 1) * pixels), rng(hash('augment', seed, epoch, index)))
    }
    const own = { input: input.subarray(0, count * pixels), label: label.subarray(0, count) }
    const mixed = { label: mixedLabel.subarray(0, count), share: mixedShare.subarray(0, count) }
    augmenter?.mix?.(own.input, own.label, mixed, rng(hash('mix', seed, epoch, number)))
    yield {
      image: { data: own.input, dims: [count, ...shape] },
      label: { data: own.label, dims: [count] },
      ...(augmenter?.mix && {
        mixedLabel: { data: mixed.label, dims: [count] },
        mixedShare: { data: mixed.share, dims: [count] },
      }),
    }
  }
}

function* arrayBatches({ arrays, size, shared = [] }: ArrayDataset, options: BatchOptions): Generator<Batch> {
  const { batch, skip = 0 } = options
  const order = orderOf(size, options)
  const whole = Object.entries(arrays).filter(([name]) => shared.includes(name))
  const own = Object.entries(arrays).filter(([name]) => !shared.includes(name))
  const rows = own.map(([name, { data, dims }]) => {
    const per = data.length / size
    return { name, data, dims: dims.slice(1), per, taken: data.slice(0, Math.min(batch, size) * per) }
  })
  for (let start = skip * batch; start < size; start += batch) {
    const count = Math.min(batch, size - start)
    const picked = rows.map(({ name, data, dims, per, taken }) => {
      for (let i = 0; i < count; i++) {
        const from = (order ? Number(order[start + i]) : start + i) * per
        copyElements(taken, data.subarray(from, from + per), i * per)
      }
      return [name, { data: taken.subarray(0, count * per), dims: [count, ...dims] }] as const
    })
    yield Object.fromEntries([...picked, ...whole])
  }
}

/** Each byte as a pixel in [0, 1]. */
const PIXEL = Float32Array.from({ length: 256 }, (_, byte) => byte / 255)

/** A function of its own, which engines compile better than the body of a generator. */
function scale(bytes: Uint8Array, from: number, pixels: Float32Array, to: number, size: number): void {
  for (let p = 0; p < size; p++) pixels[to + p] = Number(PIXEL[Number(bytes[from + p])])
}

/** The order of one epoch: 0 … size − 1 shuffled (Fisher–Yates), a pure function of size, seed and epoch. */
export function permutation(size: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: size }, (_, i) => i)
  const random = rng(hash('epoch', seed, epoch))
  for (let i = size - 1; i > 0; i--) {
    const j = random.int(i + 1)
    const swapped = Number(order[i])
    order[i] = Number(order[j])
    order[j] = swapped
  }
  return order
}
