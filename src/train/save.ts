import { type ExportOptions, exportOnnx } from '../export/export.ts'
import { writeWeightsFile } from '../export/weights.ts'
import { UserError } from '../graph/errors.ts'
import type { Model } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import { Trainer } from './trainer.ts'

/** What can be written as a file. */
export type SaveSource = TrainedModel | Model | Trainer

/**
 * What a file of this name holds: a model as `.onnx`, its weights as `.safetensors`, or the whole state of a trainer as
 * `.safetensors`, which the `resume` option reads.
 * @throws UserError when the name has neither extension
 */
export async function bytesToSave(
  source: SaveSource,
  name: string,
  options: ExportOptions = {},
): Promise<Uint8Array> {
  if (source instanceof Trainer) {
    if (name.endsWith('.safetensors')) return source.checkpoint()
    throw new UserError(
      `${name}: a trainer's state is written as .safetensors; for a model save(await trainer.trained(), …)`,
    )
  }
  if (name.endsWith('.onnx')) return exportOnnx(source, options)
  if (name.endsWith('.safetensors')) return writeWeightsFile(source)
  throw new UserError(
    `${name}: a model is written as .onnx, weights as .safetensors; give one of these endings`,
  )
}
