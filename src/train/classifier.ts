import { featuresOf } from '../data/batches.ts'
import type { Dataset } from '../data/dataset.ts'
import type { ImageShape } from '../data/preprocess.ts'
import type { FileInfo } from '../export/read.ts'
import { elementsOf, type NdArray } from '../graph/array.ts'
import { UserError } from '../graph/errors.ts'
import { lookup, nth } from '../graph/present.ts'
import { printable } from '../graph/printable.ts'
import type { Model } from '../nn/model.ts'
import type { Runtime } from '../runtime/session.ts'
import { inputPorts, openPredictor, type Predictor } from './predictor.ts'

/** The one input of a classifier: images of a known size, float32 or float16, or rows of tokens, int32. */
export interface ExampleInput {
  readonly kind: 'image' | 'tokens'
  /** Of one example: `[channels, height, width]`, or `[T]`. */
  readonly shape: readonly number[]
}

/** The input of an `.onnx` file, with its name there. */
export interface FileInput extends ExampleInput {
  readonly name: string
}

/** What a model of the command line reads. @throws UserError for a model of another kind */
export function modelInput({ name, inputs }: Model): ExampleInput {
  const { image, tokens } = inputs
  const shape = (image ?? tokens)?.shape ?? []
  const known = shape.filter(d => typeof d === 'number')
  if (known.length && known.length === shape.length) return { kind: image ? 'image' : 'tokens', shape: known }
  throw new UserError(
    `${name}: reads ${Object.keys(inputs).join(', ')}; it must read an image or tokens of a known size`,
  )
}

/** The shape of the images that are read. @param name the model's name in error messages @throws UserError where it reads tokens */
export function imageShapeOf({ kind, shape }: ExampleInput, name: string): ImageShape {
  if (kind !== 'image') throw new UserError(`${name}: takes tokens; a model of images is needed`)
  const [channels = 0, height = 0, width = 0] = shape
  return [channels, height, width]
}

const inFull = (n: number): string => n.toLocaleString('en-US')

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1)

/** Numbers of the largest example that is made for a model: an RGB image of 2364 × 2364. */
const MOST_NUMBERS = 2 ** 24

/**
 * What a file reads.
 * @throws UserError for a model of another kind, or of larger examples than are made for it
 */
export function fileInput(info: FileInfo, path: string): FileInput {
  const ports = Object.entries(inputPorts(info, path))
  const [name, port] = ports[0] ?? []
  if (name !== undefined && port && ports.length === 1) {
    const shape = port.shape.slice(1).map(d => (typeof d === 'number' ? d : 0))
    if (shape.every(d => d > 0)) {
      const size = product(shape)
      if (size > MOST_NUMBERS)
        throw new UserError(
          `${path}: takes examples of ${shape.join(' × ')} = ${inFull(size)} numbers; at most ${inFull(MOST_NUMBERS)} are allowed`,
        )
      if (/^float(16|32)$/.test(port.dtype) && shape.length === 3) return { name, kind: 'image', shape }
      if (port.dtype === 'int32' && shape.length === 1) return { name, kind: 'tokens', shape }
    }
  }
  const given = ports.map(([key, { shape }]) => `${key} of rank ${shape.length}`)
  throw new UserError(
    `${path}: takes ${printable(given.join(', '), 300) || 'no input'}; it must take one: an image, float32 [batch, channels, height, width], or tokens, int32 [batch, T]`,
  )
}

/** Numbers of the largest batch that is made for a model. */
const MOST_OF_BATCH = 2 ** 28

/** How many examples of a shape go into a batch: as many as are wanted, or as there is memory for. */
export const batchOf = ({ shape }: ExampleInput, wanted: number): number =>
  Math.min(wanted, Math.max(1, Math.floor(MOST_OF_BATCH / product(shape))))

/** @throws UserError when a file's input is not what a data set holds */
export function fits(path: string, { kind, shape }: ExampleInput, data: Dataset): void {
  const own = featuresOf(data)?.[kind]?.shape ?? []
  if (own.join() !== shape.join())
    throw new UserError(
      `${path} takes ${kind} of ${shape.join('×')}, but ${data.name} has ${own.join('×') || `no ${kind}`}`,
    )
}

/** An `.onnx` file that returns scores of classes. */
export interface Classifier {
  /**
   * Scores of examples: `[count, classes]`, or `[count, T, classes]` for tokens.
   * @param examples `[count, ...input.shape]`
   * @throws UserError for outputs that are not scores of these examples
   */
  scores(examples: NdArray): Promise<Float32Array>
  close(): Promise<void>
}

/** Loads a file on a runtime. Its scores are the output `logits`, else the first one. @throws UserError */
export async function openClassifier(
  runtime: Runtime,
  bytes: Uint8Array,
  input: FileInput,
  options: {
    readonly name?: string
    readonly threads?: number | undefined
    /** Puts another predictor in front of the file's, such as `anyBatch`: pages do without. */
    readonly adapt?: (predictor: Predictor) => Predictor
  } = {},
): Promise<Classifier> {
  const { adapt = own => own } = options
  const predictor = adapt(await openPredictor(runtime, bytes, options))
  const output = predictor.outputs.includes('logits') ? 'logits' : nth(predictor.outputs, 0)
  return {
    async scores(examples) {
      const [count] = examples.dims
      const { data, dims } = lookup(await predictor.run({ [input.name]: examples }), output)
      if (data instanceof Float32Array && data.length > 0 && dims[0] === count) return data
      throw new UserError(
        `the model returned ${printable(output)}, ${elementsOf(data)} [${dims.join()}], for ${count} examples; expected float32 [${count}, classes]`,
      )
    },
    close: predictor.close,
  }
}
