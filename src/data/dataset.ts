import { UserError } from '../graph/errors.ts'
import type { Batch, BatchOptions } from './batches.ts'
import type { Preprocessing } from './preprocess.ts'

interface Described {
  readonly name: string
  /** How many examples there are. */
  readonly size: number
  /** The shape of one example's input: `[channels, height, width]` of an image, `[T]` of a row of tokens. */
  readonly shape: readonly number[]
  /** The name of class i, for i = the label. */
  readonly classes: readonly string[]
}

/** Anything that comes in batches: implement it for data of your own. */
export interface BatchedDataset extends Described {
  /** One epoch; its order is wholly decided by `seed` and `epoch`, so that a run can be repeated. */
  batches(options: BatchOptions): Iterable<Batch>
  /** The values that batches are made of, by which the data are recognized; left out, they are by the first batches. */
  readonly content?: Uint8Array | Uint16Array | Int32Array | Float32Array
}

/** What a model learns from, or is tested on. */
export type Dataset = ImageDataset | BatchedDataset

/** Labelled images, as bytes. */
export interface ImageDataset extends Described {
  readonly shape: readonly [channels: number, height: number, width: number]
  /** Pixels 0 … 255, `size × channels × height × width`, row-major. */
  readonly images: Uint8Array
  /** One label per image, an index into `classes`. */
  readonly labels: Labels
}

/** 16 bits where there are more than 256 classes. */
export type Labels = Uint8Array | Uint16Array

/** Room for so many labels. @throws UserError when there are more classes than labels can tell apart */
export function labelsFor(classes: readonly string[], size: number): Labels {
  const [bytes, words] = [2 ** 8, 2 ** 16]
  if (classes.length > words)
    throw new UserError(
      `there are ${classes.length.toLocaleString('en-US')} classes; ${words.toLocaleString('en-US')} are the most`,
    )
  return classes.length > bytes ? new Uint16Array(size) : new Uint8Array(size)
}

/** Mean and standard deviation of each channel. */
export interface Normalization {
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

/** Images to learn from and images to be tested on. */
export interface ImageSource extends DataSource {
  readonly train: ImageDataset
  readonly test: ImageDataset
  readonly normalization: Normalization
}

/** What a model learns from and what it is tested on. */
export interface DataSource {
  readonly train: Dataset
  /** Held out of training to judge epochs and settings by, so that the test set is used once, at the end. */
  readonly val?: Dataset
  readonly test: Dataset
  /** Of the training pixels, scaled to [0, 1]: the graph normalizes with it. Left out for what is no image. */
  readonly normalization?: Normalization
  /** How pictures become such images; a model that is trained on them is given pictures prepared in this way. */
  readonly preprocessing?: Preprocessing
  /** Whether the images were made from files of pictures, by the preprocessing. */
  readonly fromPictures?: boolean
  /** One sentence that says where the data came from. */
  readonly origin: string
  /** What the user must not overlook, for example that this is not the whole of MNIST. */
  readonly notice?: string
  /** Files and class folders that were left out because they cannot be read or are empty, by their paths in the data folder. */
  readonly skipped?: readonly string[]
  /** The programs that made pixels of pictures, where they did: with others the pixels may differ a little. */
  readonly preparedBy?: string
}

/**
 * Two sets as a source. @param from where they come from, in words @param preprocessing how pictures become such images
 * @throws UserError when their images differ in size
 */
export function imageSource(
  train: ImageDataset,
  test: ImageDataset,
  from: string,
  preprocessing?: Preprocessing,
): ImageSource {
  if (train.shape.join() !== test.shape.join()) {
    const size = (shape: readonly number[]) => shape.slice(1).join(' × ')
    throw new UserError(`${from}: training images are ${size(train.shape)}, test images ${size(test.shape)}`)
  }
  const count = `${train.size.toLocaleString('en-US')} + ${test.size.toLocaleString('en-US')}`
  return {
    train,
    test,
    normalization: statistics(train),
    ...(preprocessing ? { preprocessing } : {}),
    origin: `${count} images from ${from}`,
  }
}

/** The first `n` images, sharing the memory of the whole. Throws a `UserError` where there are fewer. */
export function subset(dataset: ImageDataset, n: number): ImageDataset {
  if (!Number.isInteger(n) || n < 1 || n > dataset.size) {
    throw new UserError(`${dataset.name}: cannot take the first ${n} of ${dataset.size} images`)
  }
  const pixels = dataset.shape[0] * dataset.shape[1] * dataset.shape[2]
  return {
    ...dataset,
    size: n,
    images: dataset.images.subarray(0, n * pixels),
    labels: dataset.labels.subarray(0, n),
  }
}

/**
 * Mean and standard deviation of each channel, of pixels scaled to [0, 1], rounded to the four decimals in which they
 * are commonly published (MNIST's training set: 0.1307 and 0.3081). A constant channel gets the deviation 1, so that
 * dividing by it is safe.
 */
export function statistics(dataset: ImageDataset): { mean: number[]; std: number[] } {
  const [channels, height, width] = dataset.shape
  const plane = height * width
  const counts = Array.from({ length: channels }, () => new Float64Array(256))
  for (let start = 0; start < dataset.images.length; start += plane) {
    const count = counts[(start / plane) % channels]!
    for (let i = start; i < start + plane; i++) count[dataset.images[i]!]! += 1
  }
  const total = dataset.size * plane
  const round = (value: number): number => Math.round(value * 1e4) / 1e4
  const moments = counts.map(count => {
    let sum = 0
    let squares = 0
    for (let v = 0; v < 256; v++) {
      sum += v * count[v]!
      squares += v * v * count[v]!
    }
    const mean = sum / total
    return { mean: mean / 255, std: Math.sqrt(squares / total - mean * mean) / 255 }
  })
  return { mean: moments.map(m => round(m.mean)), std: moments.map(m => round(m.std) || 1) }
}
