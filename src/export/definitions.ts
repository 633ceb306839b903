import { UserError } from '../graph/errors.ts'

/**
 * Opsets that changed the definition of an operator (onnx/docs/Changelog.md), of those that onnxgrad keeps as a file has them. An
 * opset that only took in more element types counts as no change.
 */
const CHANGED: Readonly<Record<string, readonly number[]>> = {}

/** @throws UserError where a node of one opset means something else in another */
export function checkDefinition(type: string, from: number, to: number): void {
  if (from === to) return
  const changed = CHANGED[type]
  const [low, high] = [Math.min(from, to), Math.max(from, to)]
  if (changed && !changed.some(version => version > low && version <= high)) return
  throw new UserError(
    `${type} is kept as its file has it, of opset ${from}, and may mean something else in opset ${to}; write the file with opset ${from}`,
  )
}
