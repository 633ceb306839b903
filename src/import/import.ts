import type { FileInfo } from '../export/read.ts'
import { ShapeError, UserError, withoutStacks } from '../graph/errors.ts'
import type { Tensor } from '../graph/tensor.ts'
import { Importer } from './importer.ts'
import type { ImportOptions } from './options.ts'
import type { Imported, NodeOutcome } from './outcome.ts'

export type { ImportOptions } from './options.ts'
export type { Imported, KeptNode, NodeOutcome } from './outcome.ts'

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
    const imported = error instanceof ShapeError ? withoutSymbols(info, name, options) : undefined
    if (imported) return imported
    throw error
  }
}

/** Two symbols may differ that ONNX leaves to the run time to compare: without symbols every size fits. */
function withoutSymbols(info: FileInfo, name: string, options: ImportOptions): Imported | undefined {
  try {
    return new Importer(info, name, options, false).run()
  } catch {
    return undefined
  }
}

/** The inputs of a file, without its nodes. @throws UserError as {@link importOnnx} does */
export const inputsOf = (
  info: FileInfo,
  name: string,
  options: ImportOptions = {},
): Readonly<Record<string, Tensor>> => new Importer(info, name, options).inputs()

/** A file as it is read at once: what becomes of each of its nodes, and what `importOnnx` returns or throws. */
export interface Survey {
  /** Undefined for a file whose inputs or weights are damaged. */
  readonly outcomes?: readonly NodeOutcome[]
  readonly result: Imported | UserError
}

/** What becomes of each node of a file, also after one that cannot be imported. */
export function surveyOnnx(info: FileInfo, name: string): Survey {
  const importer = new Importer(info, name, {})
  try {
    const { outcomes, result } = withoutStacks(() => importer.survey())
    const without = result instanceof ShapeError ? withoutSymbols(info, name, {}) : undefined
    return { outcomes: outcomes.map(o => withoutName(o, name)), result: without ?? result }
  } catch (error) {
    if (error instanceof UserError) return { result: error }
    throw error
  }
}

/** Reasons are those of one file, whose name is known. */
const withoutName = (outcome: NodeOutcome, name: string): NodeOutcome =>
  outcome.reason === undefined ? outcome : { ...outcome, reason: outcome.reason.replace(`${name}: `, '') }
