import type { FileInfo } from '../export/read.ts'
import { UserError } from '../graph/errors.ts'
import type { Runtime } from '../runtime/session.ts'
import type { Predictor } from './evaluate.ts'

/** Sizes of one image of a file's input, such as [1, 28, 28]. @throws UserError for a model of another kind */
export function imageShape({ proto }: FileInfo, name: string): readonly [number, number, number] {
  const weights = new Set(proto.graph?.initializer?.map(t => t.name))
  const inputs = (proto.graph?.input ?? []).filter(i => !weights.has(i.name))
  const dims = inputs[0]?.type?.tensorType?.shape?.dim ?? []
  const sizes = dims.slice(1).map(d => d.dimValue ?? 0)
  if (inputs.length !== 1 || sizes.length !== 3 || sizes.some(d => d < 1))
    throw new UserError(
      `${name}: takes ${inputs.map(i => `${i.name} of rank ${i.type?.tensorType?.shape?.dim?.length ?? 0}`).join(', ') || 'no input'}; images need one input of [batch, channels, height, width]`,
    )
  return sizes as unknown as readonly [number, number, number]
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
    async predict({ image, count }) {
      const got = await session.run({ [input!]: runtime.tensor('float32', image, [count, ...shape]) })
      return got[output]!.data as Float32Array
    },
    close: () => session.close(),
  }
}
