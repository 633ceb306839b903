import { preprocessingOf, presumedPreprocessing } from '../../../src/data/preprocess.ts'
import { isWeight } from '../../../src/export/import.ts'
import { readOnnx } from '../../../src/export/read.ts'
import { UserError } from '../../../src/graph/errors.ts'
import { shownName } from '../../../src/graph/printable.ts'
import { parameterCount } from '../../../src/nn/model.ts'
import type { Runtime } from '../../../src/runtime/session.ts'
import { answering } from '../../../src/train/ema.ts'
import { modelInput } from '../../../src/train/predictor.ts'
import { type TrainedModel, toOnnx } from '../../../src/train/trained.ts'
import type { ModelAbout } from '../protocol.ts'
import { Insides, trainedOf } from './look.ts'
import { Reader, type Reading } from './reader.ts'
import { readRun } from './record.ts'

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
 * @throws UserError when they are no model of images, or one that the runtime refuses
 */
export async function shownFile(runtime: Runtime, name: string, bytes: Uint8Array): Promise<Shown> {
  const info = readOnnx(bytes, name)
  const input = modelInput(info, name)
  if (input.name !== 'image') throw new UserError(`${name}: takes tokens; this page has models of images`)
  const named = (error: unknown): never => {
    throw error instanceof UserError ? new UserError(`${name}: ${error.message}`) : error
  }
  const session = await runtime.load(bytes).catch(named)
  const preprocessing = preprocessingOf(info, input.shape, name)
  const output = session.outputs.includes('logits') ? 'logits' : session.outputs[0]!
  const read = async (pixels: Float32Array): Promise<Reading> => {
    const image = runtime.tensor('float32', pixels, [1, ...input.shape])
    const start = performance.now()
    const got = await session.run({ [session.inputs[0]!]: image }).catch(named)
    return { logits: got[output]!.data as Float32Array, milliseconds: performance.now() - start }
  }
  const [channels = 0, height = 0, width = 0] = input.shape
  const { logits } = await read(new Float32Array(channels * height * width))
  const trained = trainedOf(info)
  const accuracy = info.training?.testAccuracy
  const weights = info.proto.graph?.initializer?.filter(t => isWeight(info.proto, t)) ?? []
  return {
    about: {
      name: shownName(name),
      ...(info.model ? { model: { ...info.model, name: shownName(info.model.name) } } : {}),
      parameters: weights.reduce((n, { dims = [] }) => n + dims.reduce((a, b) => a * b, 1), 0),
      classes: (info.classes ?? Array.from(logits, (_, i) => String(i))).map(label => shownName(label)),
      input: [channels, height, width],
      preprocessing,
      ...(typeof accuracy === 'number' ? { testAccuracy: accuracy } : {}),
      bytes: bytes.length,
    },
    read,
    insides: trained && Insides.of(runtime, trained),
    params: async () => trained!.params,
    onnx: async () => bytes.slice(),
    close: () => session.close(),
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
  const { model, normalization } = source.trained()
  return {
    get about() {
      return aboutModel(name, source.trained())
    },
    read: async pixels => reader.read(await source.params(), pixels),
    insides: Insides.of(runtime, { model, ...(normalization ? { normalization } : {}) }),
    params: () => source.params(),
    async onnx() {
      await source.reach()
      return toOnnx(source.trained())
    },
    close: () => reader.close(),
  }
}

function aboutModel(name: string, trained: TrainedModel): ModelAbout {
  const { model, classes = [], preprocessing, training } = trained
  const accuracy = training?.testAccuracy
  const [channels = 0, height = 0, width = 0] = model.input.shape
  return {
    name: shownName(name),
    model: { name: model.name, config: model.config },
    parameters: parameterCount(model),
    classes: classes.map(label => shownName(label)),
    input: [channels, height, width],
    preprocessing: preprocessing ?? presumedPreprocessing(model.input.shape, classes),
    ...(typeof accuracy === 'number' ? { testAccuracy: accuracy } : {}),
  }
}

/** The model of a checkpoint. @throws UserError when the file is none */
export function shownCheckpoint(runtime: Runtime, name: string, bytes: Uint8Array): Shown {
  const { model, state, record, training } = readRun(name, bytes)
  const { normalization, preprocessing, classes } = record
  const trained: TrainedModel = {
    model,
    params: answering(state),
    classes,
    training,
    ...(preprocessing ? { preprocessing } : {}),
    ...(normalization ? { normalization } : {}),
  }
  return shownModel(runtime, {
    name,
    reader: new Reader(runtime, model, normalization),
    trained: () => trained,
    reach: async () => {},
    params: async () => trained.params,
  })
}
