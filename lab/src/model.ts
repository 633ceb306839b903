import { type FileInfo, readOnnx } from '../../src/export/read.ts'
import { UserError } from '../../src/graph/errors.ts'
import type { Runtime } from '../../src/runtime/session.ts'

/** A loaded classifier of 28 × 28 grayscale images. */
export interface Classifier {
  readonly name: string
  readonly bytes: number
  readonly info: FileInfo
  /** The name of each class, by index. */
  readonly classes: readonly string[]
  /**
   * Pixels in [0, 1] of one or more images, `[n, 1, 28, 28]`; returns `[n, classes]`.
   * @throws UserError when the model fails to run or gives NaN or infinity
   */
  logits(pixels: Float32Array): Promise<Float32Array>
  close(): Promise<void>
}

const SIDE = 28
const PIXELS = SIDE * SIDE

/**
 * Loads a file that `onnxgrad export` wrote.
 * @throws UserError when the bytes are no model, or one that takes other images
 */
export async function openClassifier(runtime: Runtime, bytes: Uint8Array, name: string): Promise<Classifier> {
  const info = readOnnx(bytes, name)
  const image = shapeOf(info.proto.graph?.input, 'image')
  const scores = shapeOf(info.proto.graph?.output, 'logits')
  if (!image || !scores)
    throw new UserError(
      `${name}: needs an input named image and an output named logits, as in the files that onnxgrad writes`,
    )
  const [, channels, height, width] = image
  if (channels !== 1 || height !== SIDE || width !== SIDE)
    throw new UserError(
      `${name}: takes images of ${image.slice(1).join(' × ')} (channels × height × width); a drawing here is 1 × 28 × 28`,
    )
  const count = scores.at(-1)
  if (typeof count !== 'number') throw new UserError(`${name}: does not say how many classes it has`)
  const session = await runtime.load(bytes).catch((error: unknown) => {
    throw error instanceof UserError ? new UserError(`${name}: ${error.message}`) : error
  })
  return {
    name,
    bytes: bytes.length,
    info,
    classes: info.classes ?? Array.from({ length: count }, (_, i) => String(i)),
    async logits(pixels) {
      const { logits } = await session.run({
        image: runtime.tensor('float32', pixels, [pixels.length / PIXELS, 1, SIDE, SIDE]),
      })
      const scores = logits!.data as Float32Array
      if (!scores.every(Number.isFinite))
        throw new UserError(`${name}: its scores are not all numbers; the file is damaged or badly trained`)
      return scores
    },
    close: () => session.close(),
  }
}

type Values = NonNullable<FileInfo['proto']['graph']>['input']

const shapeOf = (values: Values, name: string): (number | string)[] | undefined =>
  values
    ?.find(v => v.name === name)
    ?.type?.tensorType?.shape?.dim?.map(d => d.dimValue ?? d.dimParam ?? 'any')

/** Probabilities of logits. */
export function softmax(logits: Float32Array): Float32Array {
  const largest = Math.max(...logits)
  const e = logits.map(v => Math.exp(v - largest))
  const sum = e.reduce((a, b) => a + b)
  return e.map(v => v / sum)
}
