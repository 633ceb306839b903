import type { NdArray } from '../graph/array.ts'
import type { DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import type { Normalization } from '../graph/normalization.ts'
import { nth } from '../graph/present.ts'
import type { Shape } from '../graph/shape.ts'
import type { ArrayValue } from './arrays.ts'
import type { Augmentation } from './augment.ts'
import type { Preprocessing } from './preprocess.ts'

/** Arrays of a batch by name, as users have them. */
export type UserBatch = Readonly<Record<string, ArrayValue>>

/** Options of a data set's batches. */
export interface BatchOptions {
  /** Examples per batch; the last batch of an epoch may hold fewer. */
  readonly batch: number
  /** Together with `epoch` it fully determines the order, so that an epoch can be repeated or resumed. @default 0 */
  readonly seed?: number | undefined
  /** @default 0 */
  readonly epoch?: number | undefined
  /** Whether to shuffle; false keeps the data's order. @default true */
  readonly shuffle?: boolean | undefined
  /** Batches to skip at the start, to resume an epoch in the middle. @default 0 */
  readonly skip?: number | undefined
  /**
   * Augments the images. The result depends only on seed, epoch and the image's index, and for mixing on the batch number. For
   * images only.
   */
  readonly augment?: Augmentation | undefined
}

/** An array that every example has. */
export interface Feature {
  /** Element type. */
  readonly dtype: DType
  /** Shape of one example; a symbol for a size that differs from batch to batch. */
  readonly shape: Shape
}

/** Name, size and classes of a data set. */
export interface DatasetInfo {
  /** Its name in messages. */
  readonly name: string
  /** How many examples there are. */
  readonly size: number
  /** Class names by label, if examples are labeled. */
  readonly classes?: readonly string[] | undefined
}

/** Examples that come in batches: implement it for your own data, or for data that does not fit into memory. */
export interface BatchedDataset extends Omit<DatasetInfo, 'size'> {
  /** Number of examples, if known: every epoch must have exactly this many. */
  readonly size?: number | undefined
  /** The arrays of an example, by name, if known in advance. */
  readonly features?: Readonly<Record<string, Feature>> | undefined
  /** The underlying values, which identify the data; if omitted, the first batches do. */
  readonly content?: Uint8Array | Uint16Array | Int32Array | Float32Array | undefined
  /** Batches per epoch, if not the number of examples divided by `batch`, rounded up. */
  readonly batchesOf?: ((batch: number) => number) | undefined
  /**
   * One epoch: records of arrays by name, each with its examples along the first axis. The order is fully determined by `seed` and
   * `epoch`, so that a run can be repeated.
   */
  batches(options: BatchOptions): Iterable<UserBatch> | AsyncIterable<UserBatch>
}

/** Examples in memory, as arrays by name, `[size, ...]` each. */
export interface ArrayDataset extends DatasetInfo {
  /** The arrays by name. */
  readonly arrays: Readonly<Record<string, NdArray>>
  /** Names of arrays that are not per example: every batch contains them whole. @default none */
  readonly shared?: readonly string[]
}

/** Data for training or testing. */
export type Dataset = ImageDataset | ArrayDataset | BatchedDataset

/** Labelled images, as bytes. Batches of it have `image`, float32 `[B, channels, height, width]` in [0, 1], and `label`, int32 `[B]`. */
export interface ImageDataset extends DatasetInfo {
  /** Of one image. */
  readonly shape: readonly [channels: number, height: number, width: number]
  readonly classes: readonly string[]
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
      `there are ${classes.length.toLocaleString('en-US')} classes; at most ${words.toLocaleString('en-US')} are supported`,
    )
  return classes.length > bytes ? new Uint16Array(size) : new Uint8Array(size)
}

/** Training and test images. */
export interface ImageSource extends DataSource {
  /** The training set. */
  readonly train: ImageDataset
  readonly val?: ImageDataset | undefined
  /** The test set. */
  readonly test: ImageDataset
  readonly normalization: Normalization
}

/** Data for training, validation and testing. */
export interface DataSource {
  /** The training set. */
  readonly train: Dataset
  /** Validation set: used to judge epochs and settings, so that the test set is used only once, at the end. */
  readonly val?: Dataset | undefined
  /** The test set. */
  readonly test?: Dataset | undefined
  /**
   * Mean and standard deviation of the training pixels, scaled to [0, 1]; the graph normalizes with them. Omitted if the data are
   * not images.
   */
  readonly normalization?: Normalization | undefined
  /** The preprocessing that turns pictures into such images; a model trained on them applies it too. */
  readonly preprocessing?: Preprocessing | undefined
  /** Whether the images were made from files of pictures, by the preprocessing. */
  readonly fromPictures?: boolean | undefined
  /** Where the data came from, in one sentence. */
  readonly origin: string
  /** The name or folder under which the same data are found again. */
  readonly location?: string | undefined
  /** A warning for the user, for example that this is not all of MNIST. */
  readonly notice?: string | undefined
  /** Files and class folders that were skipped because they are unreadable or empty, by path in the data folder. */
  readonly skipped?: readonly string[] | undefined
  /** The programs that decoded the pictures, if any: others may give slightly different pixels. */
  readonly preparedBy?: string | undefined
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
    throw new UserError(
      `${from}: training images are ${size(train.shape)}, but test images are ${size(test.shape)}`,
    )
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
    const count = nth(counts, (start / plane) % channels)
    for (let i = start; i < start + plane; i++) {
      const v = Number(dataset.images[i])
      count[v] = Number(count[v]) + 1
    }
  }
  const total = dataset.size * plane
  const round = (value: number): number => Math.round(value * 1e4) / 1e4
  const moments = counts.map(count => {
    let sum = 0
    let squares = 0
    for (const [v, n] of count.entries()) {
      sum += v * n
      squares += v * v * n
    }
    const mean = sum / total
    return { mean: mean / 255, std: Math.sqrt(squares / total - mean * mean) / 255 }
  })
  return { mean: moments.map(m => round(m.mean)), std: moments.map(m => round(m.std) || 1) }
}
