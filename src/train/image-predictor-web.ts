import { type Picture, readPicture } from '../data/image-web.ts'
import { type ImageShape, type Preprocessing, preprocessingOf } from '../data/preprocess.ts'
import type { FileInfo } from '../export/read.ts'
import { UserError } from '../graph/errors.ts'
import type { Runtime } from '../runtime/session.ts'
import { fileInput, imageShapeOf, openClassifier } from './classifier.ts'
import { argmaxAt, logSumExpAt } from './scores.ts'

/** What a model says of one image. */
export interface Prediction {
  /** Index of the most probable class, and its name. */
  readonly label: number
  readonly name: string
  /** By class. */
  readonly probabilities: Float32Array
  readonly logits: Float32Array
}

/** A classifier of images that is loaded and ready to answer. */
export interface ImagePredictor {
  readonly classes: readonly string[]
  readonly shape: ImageShape
  readonly preprocessing: Preprocessing
  /**
   * @param image a picture, which is prepared as the model's training pictures were, or pixels in [0, 1], `[channels, height, width]`
   * @throws UserError when it is not a picture, or another number of pixels
   */
  predict(image: Picture | Float32Array): Promise<Prediction>
  close(): Promise<void>
}

/**
 * Loads a file that classifies images.
 * @throws UserError when it is not a model of images, its pictures are prepared in a way that is not known, or it cannot be
 *   loaded
 */
export async function openImagePredictor(
  runtime: Runtime,
  info: FileInfo,
  name: string,
): Promise<ImagePredictor> {
  const input = fileInput(info, name)
  const shape = imageShapeOf(input, name)
  const preprocessing = preprocessingOf(info, shape, name)
  const size = shape.reduce((a, b) => a * b, 1)
  const classifier = await openClassifier(runtime, info.bytes, input, { name })
  const classes = info.classes ?? []

  async function pixelsOf(picture: Picture): Promise<Float32Array> {
    const file = picture instanceof Blob && 'name' in picture ? String(picture.name) : 'the image'
    return Float32Array.from(await readPicture(picture, file, shape, preprocessing), v => v / 255)
  }

  return {
    classes,
    shape,
    preprocessing,
    async predict(image) {
      const pixels = image instanceof Float32Array ? image : await pixelsOf(image)
      if (pixels.length !== size)
        throw new UserError(
          `the image has ${pixels.length} values, the model takes ${shape.join(' × ')} = ${size}`,
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
