import { type ImageShape, type Preprocessing, preprocessingOf } from '../data/preprocess.ts'
import type { FileInfo } from '../export/read.ts'
import { UserError } from '../graph/errors.ts'
import type { Runtime } from '../runtime/session.ts'
import { fileInput, imageShapeOf, openClassifier } from './classifier.ts'
import { argmaxAt, logSumExpAt } from './scores.ts'

/** The prediction for one image. */
export interface Prediction {
  /** Index of the most probable class. */
  readonly label: number
  /** Its name. */
  readonly name: string
  /** Probability of each class. */
  readonly probabilities: Float32Array
  /** The model's output for each class. */
  readonly logits: Float32Array
}

/** An image classifier loaded for prediction. `P` is the type of a picture. */
export interface ImagePredictor<P = unknown> {
  /** Names of the classes, by label. */
  readonly classes: readonly string[]
  /** Shape of the model's input: `[channels, height, width]`. */
  readonly shape: ImageShape
  /** How pictures are preprocessed. */
  readonly preprocessing: Preprocessing
  /**
   * @param image a picture, which is preprocessed like the model's training pictures, or pixels in [0, 1],
   * `[channels, height, width]`
   * @throws UserError when it is not a picture, or has the wrong number of pixels
   */
  predict(image: P | Float32Array): Promise<Prediction>
  /** Releases the model. */
  close(): Promise<void>
}

/** Reads a picture as a model's input: values 0 … 255. */
export type ReadPicture<P> = (
  picture: P,
  name: string,
  shape: ImageShape,
  preprocessing: Preprocessing,
) => Promise<Uint8Array>

/**
 * Loads a file that classifies images.
 * @throws UserError when it is not a model of images, its preprocessing is unknown, or it cannot be
 *   loaded
 */
export async function openImagePredictor<P>(
  runtime: Runtime,
  info: FileInfo,
  name: string,
  read: ReadPicture<P>,
): Promise<ImagePredictor<P>> {
  const input = fileInput(info, name)
  const shape = imageShapeOf(input, name)
  const preprocessing = preprocessingOf(info, shape, name)
  const size = shape.reduce((a, b) => a * b, 1)
  const classifier = await openClassifier(runtime, info.bytes, input, { name })
  const classes = info.classes ?? []

  const pixelsOf = async (picture: P): Promise<Float32Array> =>
    Float32Array.from(await read(picture, nameOf(picture), shape, preprocessing), v => v / 255)

  return {
    classes,
    shape,
    preprocessing,
    async predict(image) {
      const pixels = image instanceof Float32Array ? image : await pixelsOf(image)
      if (pixels.length !== size)
        throw new UserError(
          `the image has ${pixels.length} values, but the model takes ${shape.join(' × ')} = ${size}`,
        )
      const logits = await classifier.scores({ data: pixels, dims: [1, ...shape] })
      const all = logSumExpAt(logits, 0, logits.length)
      const label = argmaxAt(logits, 0, logits.length)
      return {
        label,
        name: classes[label] ?? String(label),
        probabilities: logits.map(z => Math.exp(z - all)),
        logits,
      }
    },
    close: classifier.close,
  }
}

/** A picture's name in error messages: its path, or in a page its file name. */
const nameOf = (picture: unknown): string =>
  typeof picture === 'string'
    ? picture
    : typeof picture === 'object' && picture !== null && 'name' in picture
      ? String(picture.name)
      : 'the image'
