import type { Dataset } from '../data/dataset.ts'
import { isPreprocessing, type Preprocessing, presumedPreprocessing } from '../data/preprocess.ts'
import type { FileInfo } from '../export/read.ts'
import { dtypeOf } from '../export/tensor-data.ts'
import { UserError } from '../graph/errors.ts'
import { printable } from '../graph/printable.ts'
import type { ModelInput } from '../nn/model.ts'
import type { Runtime } from '../runtime/session.ts'
import type { Predictor } from './evaluate.ts'

/**
 * What a file reads: images of known size, or rows of tokens.
 * @throws UserError for a model of another kind
 */
export function modelInput({ proto }: FileInfo, name: string): ModelInput {
  const weights = new Set(proto.graph?.initializer?.map(t => t.name))
  const inputs = (proto.graph?.input ?? []).filter(i => !weights.has(i.name))
  const type = inputs[0]?.type?.tensorType
  const shape = (type?.shape?.dim ?? []).slice(1).map(d => d.dimValue ?? 0)
  const dtype = dtypeOf(type?.elemType)
  if (inputs.length === 1 && shape.every(d => d > 0)) {
    if (dtype === 'float32' && shape.length === 3) return { name: 'image', dtype, shape }
    if (dtype === 'int32' && shape.length === 1) return { name: 'tokens', dtype, shape }
  }
  const given = inputs.map(i => `${i.name ?? ''} of rank ${i.type?.tensorType?.shape?.dim?.length ?? 0}`)
  throw new UserError(
    `${name}: takes ${printable(given.join(', '), 300) || 'no input'}; it must take one: an image, float32 [batch, channels, height, width], or tokens, int32 [batch, T]`,
  )
}

/**
 * How pictures become a file's input: as the file records it, else as presumed (files of other programs and of releases up to 0.1.0).
 * @throws UserError when the file names a way that is not known
 */
export function preprocessingOf(info: FileInfo, input: ModelInput, name: string): Preprocessing {
  const { preprocessing, classes } = info
  if (preprocessing === undefined) return presumedPreprocessing(input.shape, classes)
  if (isPreprocessing(preprocessing)) return preprocessing
  throw new UserError(
    `${name}: its pictures are prepared by ${printable(JSON.stringify(preprocessing), 300)}, which this release does not know`,
  )
}

/** @throws UserError when a file's input is not what a data set holds */
export function fits(name: string, input: ModelInput, data: Dataset): void {
  if (input.shape.join() !== data.shape.join())
    throw new UserError(
      `${name} takes ${input.name} of ${input.shape.join('×')}, ${data.name} has ${data.shape.join('×')}`,
    )
}

/** A loaded `.onnx` file that answers logits. */
export interface FilePredictor extends Predictor {
  close(): Promise<void>
}

/** Loads an exported classifier on a runtime. @throws UserError when it cannot be loaded */
export async function filePredictor(
  runtime: Runtime,
  bytes: Uint8Array,
  shape: readonly number[],
  threads?: number,
): Promise<FilePredictor> {
  const session = await runtime.load(bytes, threads ? { threads } : {})
  const [input] = session.inputs
  const output = session.outputs.includes('logits') ? 'logits' : session.outputs[0]!
  return {
    async predict({ input: example, count }) {
      const dtype = example instanceof Int32Array ? 'int32' : 'float32'
      const got = await session.run({ [input!]: runtime.tensor(dtype, example, [count, ...shape]) })
      return got[output]!.data as Float32Array
    },
    allocate: runtime.allocate,
    close: () => session.close(),
  }
}
