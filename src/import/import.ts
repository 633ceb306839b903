import type { FileInfo } from '../export/read.ts'
import { ShapeError } from '../graph/errors.ts'
import type { Tensor } from '../graph/tensor.ts'
import { type Imported, Importer, type NodeOutcome } from './importer.ts'
import type { ImportOptions } from './options.ts'

export type { Imported, NodeOutcome } from './importer.ts'
export type { ImportOptions } from './options.ts'

/**
 * The graph of an `.onnx` file: nodes become ops, float initializers parameters, node names the layers' paths
 * (`blocks.0.attn/MatMul` and PyTorch's `/blocks/blocks.0/attn/MatMul` both belong to `blocks.0.attn`). Shapes that the file
 * computes when it runs become dims with the inputs' symbols. `lower` writes the same computation again. Half precision becomes
 * float32. An operator that onnxgrad does not have is kept as it is where the file states the types of its outputs.
 * @experimental
 * @param name the file's name in error messages
 * @throws UserError for an operator that onnxgrad does not have and cannot keep, and for damaged files
 */
export function importOnnx(info: FileInfo, name: string, options: ImportOptions = {}): Imported {
  try {
    return new Importer(info, name, options).run()
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error
    try {
      // Two symbols that ONNX leaves to the run time to compare: without symbols every size fits.
      return new Importer(info, name, options, false).run()
    } catch {
      throw error
    }
  }
}

/** The inputs of a file, without its nodes. @throws UserError as {@link importOnnx} does */
export const inputsOf = (
  info: FileInfo,
  name: string,
  options: ImportOptions = {},
): Readonly<Record<string, Tensor>> => new Importer(info, name, options).inputs()

/**
 * What becomes of each node of a file, also after one that cannot be imported.
 * @throws UserError for damaged files
 */
export function surveyOnnx(info: FileInfo, name: string): readonly NodeOutcome[] {
  const importer = new Importer(info, name, {})
  importer.survey()
  return importer.outcomes
}
