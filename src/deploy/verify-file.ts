import type { Dataset } from '../data/dataset.ts'
import { textDataset } from '../data/text.ts'
import { type FileInfo, readWeights } from '../export/read.ts'
import { elementsOf } from '../graph/array.ts'
import { UserError } from '../graph/errors.ts'
import { rng } from '../graph/random.ts'
import { layoutOf } from '../nn/layout.ts'
import type { Model } from '../nn/model.ts'
import { normalized } from '../nn/normalize.ts'
import type { TrainedModel } from '../nn/trained.ts'
import { type ExampleInput, type FileInput, fileInput } from '../train/classifier.ts'
import { inputPorts } from '../train/predictor.ts'

/** The model that a file says it holds, with the file's own weights; nothing for files of other programs. */
export function rebuilt(
  info: FileInfo,
  path: string,
  build: (name: string, config: object) => Model,
): TrainedModel | undefined {
  // A model that was made of a file has no configuration to build it from.
  if (!info.model || !Object.keys(info.model.config).length) return undefined
  const model = build(info.model.name, info.model.config)
  const layout = layoutOf(model.parameters)
  const weights = readWeights(info)
  const held = [...weights.values()].reduce((n, w) => n + w.data.length, 0)
  // A file may name a model of any size; what is made for it is no larger than the file.
  if (held < layout.size)
    throw new UserError(
      `${path}: has ${held} weights, and the model that it names has ${layout.size}: it was changed after it was exported`,
    )
  const params = new Float32Array(layout.size)
  for (const slot of layout.slots) {
    const w = weights.get(slot.name)
    if (!(w?.data instanceof Float32Array) || w.dims.join() !== slot.shape.join())
      throw new UserError(
        `${path}: ${slot.name} should be float32 [${slot.shape.join()}], the file has ${w ? `${elementsOf(w.data)} [${w.dims.join()}]` : 'none'}`,
      )
    params.set(w.data, slot.offset)
  }
  return { model: info.normalization ? normalized(model, 'image', info.normalization) : model, params }
}

/**
 * What a model of images or tokens reads, images in half precision too; undefined for a model of anything else.
 * @throws UserError for images or tokens of an unknown size, or a too large one
 */
export function exampleInput(info: FileInfo, path: string): FileInput | undefined {
  const [[name, port] = [], ...more] = Object.entries(inputPorts(info, path))
  if (name === undefined || !port || more.length) return undefined
  const { dtype, shape } = port
  const image = dtype === 'float32' && shape.length === 4
  if (image || (dtype === 'int32' && shape.length === 2)) return fileInput(info, path)
  const sizes = shape.slice(1).filter(d => typeof d === 'number' && d > 0)
  return dtype === 'float16' && shape.length === 4 && sizes.length === 3
    ? { name, kind: 'image', shape: sizes.map(Number) }
    : undefined
}

/** What is made up for a text model: rows, and tokens in all of them. */
const MOST_ROWS = 300
const MOST_TOKENS = 2 ** 22

/** Rows of random tokens: which they are does not matter where runtimes are compared. */
export function randomTokens({ shape }: ExampleInput, vocabulary: readonly string[]): Dataset {
  const random = rng(0)
  const [context = 1] = shape
  const rows = Math.max(2, Math.min(MOST_ROWS, Math.floor(MOST_TOKENS / context)))
  const ids = Int32Array.from({ length: rows * context }, () => random.int(vocabulary.length || 1))
  return textDataset('random tokens', { ids, vocabulary }, context)
}
