import { availableParallelism } from 'node:os'
import type { NamedPicture } from '../data/pictures-node.ts'
import { type ImageShape, type Preprocessing, preprocessInked } from '../data/preprocess.ts'
import { messageOf, UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import type { Classifier } from '../train/classifier.ts'
import { argmaxAt, logSumExpAt } from '../train/scores.ts'

/** What a picture is classified as. */
export interface Classified {
  readonly file: string
  /** Index of the most probable class. */
  readonly label: number
  /** Probability of each class. */
  readonly probabilities: readonly number[]
  /** Whether dark and light were exchanged, as for a digit in dark ink. */
  readonly inverted: boolean
}

/** A picture that could not be read. */
export interface Unread {
  readonly file: string
  /** Why, with the name of the file. */
  readonly error: string
}

export interface ClassifyOptions {
  /** Of the model's input. */
  readonly shape: ImageShape
  /** How pictures are prepared. */
  readonly preprocessing: Preprocessing
  /** Pictures of one run. */
  readonly batch: number
}

interface Prepared {
  readonly file: string
  readonly image: Uint8Array
  readonly inverted: boolean
}

async function prepare(
  picture: NamedPicture,
  { shape, preprocessing }: ClassifyOptions,
): Promise<Prepared | Unread> {
  const { file } = picture
  try {
    return { file, ...preprocessInked(file, await picture.read(), preprocessing, shape) }
  } catch (error) {
    if (error instanceof UserError) return { file, error: messageOf(error) }
    throw error
  }
}

/** The next pictures, in their order. A few are decoded at once: a large one takes hundreds of megabytes. */
async function prepareBatch(
  pictures: AsyncIterator<NamedPicture>,
  options: ClassifyOptions,
): Promise<(Prepared | Unread)[]> {
  const batch: (Prepared | Unread)[] = []
  let taken = 0
  let ended = false
  const worker = async () => {
    while (taken < options.batch && !ended) {
      const at = taken++
      const { value, done } = await pictures.next()
      if (done) ended = true
      else batch[at] = await prepare(value, options)
    }
  }
  await Promise.all(Array.from({ length: Math.min(options.batch, availableParallelism()) }, worker))
  return batch
}

/** Classifies what could be read of a batch. */
async function classify(
  classifier: Classifier,
  batch: readonly (Prepared | Unread)[],
  shape: ImageShape,
): Promise<(Classified | Unread)[]> {
  const images = batch.flatMap(picture => ('image' in picture ? [picture.image] : []))
  const size = shape.reduce((a, b) => a * b, 1)
  const data = new Float32Array(images.length * size)
  for (const [i, image] of images.entries())
    for (let j = 0; j < size; j++) data[i * size + j] = nth(image, j) / 255
  const scores = images.length ? await classifier.scores({ data, dims: [images.length, ...shape] }) : data
  const classes = scores.length / images.length
  let row = 0
  return batch.map(picture => {
    if ('error' in picture) return picture
    const at = classes * row++
    const all = logSumExpAt(scores, at, classes)
    return {
      file: picture.file,
      label: argmaxAt(scores, at, classes),
      probabilities: Array.from(scores.subarray(at, at + classes), z => Math.exp(z - all)),
      inverted: picture.inverted,
    }
  })
}

/**
 * Classifies pictures in their order, in batches. The next batch is read while one is classified; no more are held. Pictures that cannot
 * be read are answered with the reason, and the rest is done.
 */
export async function* classifyPictures(
  classifier: Classifier,
  pictures: AsyncIterable<NamedPicture>,
  options: ClassifyOptions,
): AsyncGenerator<Classified | Unread> {
  const source = pictures[Symbol.asyncIterator]()
  let next = prepareBatch(source, options)
  for (;;) {
    const batch = await next
    if (!batch.length) return
    next = prepareBatch(source, options)
    // Without a handler, a failure while the batch is classified would end the process.
    next.catch(() => {})
    yield* await classify(classifier, batch, options.shape)
  }
}
