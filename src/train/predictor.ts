import type { Dataset } from '../data/dataset.ts'
import type { FileInfo } from '../export/read.ts'
import { dtypeOf } from '../export/tensor-data.ts'
import { UserError } from '../graph/errors.ts'
import { printable } from '../graph/printable.ts'
import type { ModelInput } from '../nn/model.ts'
import type { OrtTensor, Runtime } from '../runtime/session.ts'
import type { Predictor } from './evaluate.ts'

/** Numbers of the largest example that is made for a model: an RGB image of 2364 × 2364. */
const MOST_NUMBERS = 2 ** 24

/**
 * What a file reads: images of known size, or rows of tokens.
 * @throws UserError for a model of another kind, or of larger examples than are made for it
 */
export function modelInput({ proto }: FileInfo, name: string): ModelInput {
  const weights = new Set(proto.graph?.initializer?.map(t => t.name))
  const inputs = (proto.graph?.input ?? []).filter(i => !weights.has(i.name))
  const type = inputs[0]?.type?.tensorType
  const shape = (type?.shape?.dim ?? []).slice(1).map(d => d.dimValue ?? 0)
  const dtype = dtypeOf(type?.elemType)
  if (inputs.length === 1 && shape.every(d => d > 0)) {
    const size = shape.reduce((a, b) => a * b, 1)
    if (size > MOST_NUMBERS)
      throw new UserError(
        `${name}: takes examples of ${shape.join(' × ')} = ${inFull(size)} numbers; ${inFull(MOST_NUMBERS)} are the most`,
      )
    if (dtype === 'float32' && shape.length === 3) return { name: 'image', dtype, shape }
    if (dtype === 'int32' && shape.length === 1) return { name: 'tokens', dtype, shape }
  }
  const given = inputs.map(i => `${i.name ?? ''} of rank ${i.type?.tensorType?.shape?.dim?.length ?? 0}`)
  throw new UserError(
    `${name}: takes ${printable(given.join(', '), 300) || 'no input'}; it must take one: an image, float32 [batch, channels, height, width], or tokens, int32 [batch, T]`,
  )
}

/** Numbers of the largest batch that is made for a model. */
const MOST_OF_BATCH = 2 ** 28

/** How many examples of a shape go into a batch: as many as are wanted, or as there is memory for. */
export const batchOf = (shape: readonly number[], wanted: number): number =>
  Math.min(wanted, Math.max(1, Math.floor(MOST_OF_BATCH / shape.reduce((a, b) => a * b, 1))))

const inFull = (n: number): string => n.toLocaleString('en-US')

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

/** @throws UserError for what is not the scores of so many examples */
function scoresOf(name: string, { type, dims, data }: OrtTensor, count: number): Float32Array {
  if (data instanceof Float32Array && data.length > 0 && dims[0] === count) return data
  throw new UserError(
    `the model answers ${printable(name)}, ${type} [${dims.join()}], for ${count} examples; float32 [${count}, classes] belongs there`,
  )
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
      return scoresOf(output, got[output]!, count)
    },
    allocate: runtime.allocate,
    close: () => session.close(),
  }
}
