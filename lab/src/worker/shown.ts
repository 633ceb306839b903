import { preprocessingOf } from '../../../src/data/preprocess.ts'
import { exportOnnx } from '../../../src/export/export.ts'
import { isWeight, readOnnx } from '../../../src/export/read.ts'
import { UserError } from '../../../src/graph/errors.ts'
import { present } from '../../../src/graph/present.ts'
import { shownName } from '../../../src/graph/printable.ts'
import { parameterCount } from '../../../src/nn/model.ts'
import type { TrainedModel } from '../../../src/nn/trained.ts'
import { savedModel } from '../../../src/runs/saved.ts'
import type { Runtime } from '../../../src/runtime/session.ts'
import { fileInput, imageShapeOf, openClassifier } from '../../../src/train/classifier.ts'
import type { ModelAbout } from '../protocol.ts'
import type { Bases } from './base.ts'
import { Insides, trainedOf } from './look.ts'
import { imageOf, Reader, type Reading } from './reader.ts'
import { readCheckpoint } from './record.ts'

/** A model that the page can look at. */
export interface Shown {
  readonly about: ModelAbout
  /** @param pixels of one image */
  read(pixels: Float32Array): Promise<Reading>
  /** For a ViT. */
  readonly insides: Insides | undefined
  /** Flat; for a model with insides. */
  params(): Promise<Float32Array>
  onnx(): Promise<Uint8Array>
  close(): Promise<void>
}

/**
 * The bytes of an `.onnx` file, which is run as it is.
 * @throws UserError when they are not a model of images, or the runtime refuses them
 */
export async function shownFile(runtime: Runtime, name: string, bytes: Uint8Array): Promise<Shown> {
  const info = readOnnx(bytes, name)
  const input = fileInput(info, name)
  const shape = imageShapeOf(input, name)
  const named = (error: unknown): never => {
    throw error instanceof UserError && !error.message.startsWith(name)
      ? new UserError(`${name}: ${error.message}`)
      : error
  }
  const classifier = await openClassifier(runtime, bytes, input, { name }).catch(named)
  const preprocessing = preprocessingOf(info, shape, name)
  const read = async (pixels: Float32Array): Promise<Reading> => {
    const start = performance.now()
    const logits = await classifier.scores({ data: pixels, dims: [1, ...shape] }).catch(named)
    return { logits, milliseconds: performance.now() - start }
  }
  const { logits } = await read(new Float32Array(shape.reduce((a, b) => a * b, 1)))
  const trained = trainedOf(info)
  const accuracy = info.training?.testAccuracy
  const weights = info.proto.graph?.initializer?.filter(t => isWeight(info.proto, t)) ?? []
  return {
    about: {
      name: shownName(name),
      ...(info.model ? { model: { ...info.model, name: shownName(info.model.name) } } : {}),
      parameters: weights.reduce((n, { dims = [] }) => n + dims.reduce((a, b) => a * b, 1), 0),
      classes: (info.classes ?? Array.from(logits, (_, i) => String(i))).map(label => shownName(label)),
      input: shape,
      preprocessing,
      ...(typeof accuracy === 'number' ? { testAccuracy: accuracy } : {}),
      bytes: bytes.length,
    },
    read,
    insides: trained && Insides.of(runtime, trained.model),
    params: async () => present(trained, 'model that can be read').params,
    onnx: async () => bytes.slice(),
    close: () => classifier.close(),
  }
}

/** A model with its parameters: that of a run, which may still change them, or of a checkpoint. */
export interface Source {
  readonly name: string
  readonly reader: Reader
  /** As it is known. */
  trained(): TrainedModel
  /** Makes known what the training has done since. */
  reach(): Promise<void>
  /** New enough to look at. */
  params(): Promise<Float32Array>
}

export function shownModel(runtime: Runtime, source: Source): Shown {
  const { name, reader } = source
  return {
    get about() {
      return aboutModel(name, source.trained())
    },
    read: async pixels => reader.read(await source.params(), pixels),
    insides: Insides.of(runtime, source.trained().model),
    params: () => source.params(),
    async onnx() {
      await source.reach()
      return exportOnnx(source.trained())
    },
    close: () => reader.close(),
  }
}

function aboutModel(name: string, trained: TrainedModel): ModelAbout {
  const { model, classes = [], preprocessing, training } = trained
  const accuracy = training?.testAccuracy
  const shape = imageOf(model)
  return {
    name: shownName(name),
    model: { name: model.name, config: model.config },
    parameters: parameterCount(model),
    classes: classes.map(label => shownName(label)),
    input: shape,
    preprocessing: preprocessingOf({ preprocessing, classes }, shape, name),
    ...(typeof accuracy === 'number' ? { testAccuracy: accuracy } : {}),
  }
}

/** The model of a checkpoint. @param bases has the file that it fine-tunes @throws UserError when it is not one */
export async function shownCheckpoint(
  runtime: Runtime,
  name: string,
  bytes: Uint8Array,
  bases: Bases,
): Promise<Shown> {
  const trained = savedModel(await readCheckpoint(name, bytes, bases))
  return shownModel(runtime, {
    name,
    reader: new Reader(runtime, trained.model),
    trained: () => trained,
    reach: async () => {},
    params: async () => trained.params,
  })
}
