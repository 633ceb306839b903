import { UserError } from '../graph/errors.ts'

/**
 * Of each opset: the IR version that came with it (onnx/docs/Versioning.md), and the first onnxruntime that runs
 * files of it: tried with each minor release from 1.15 on.
 */
const VERSIONS: Readonly<Record<number, { readonly ir: number; readonly onnxruntime: string }>> = {
  17: { ir: 8, onnxruntime: '1.12' },
  18: { ir: 8, onnxruntime: '1.14' },
  19: { ir: 9, onnxruntime: '1.16' },
  20: { ir: 9, onnxruntime: '1.17' },
  21: { ir: 10, onnxruntime: '1.18' },
  22: { ir: 10, onnxruntime: '1.21' },
  23: { ir: 11, onnxruntime: '1.23' },
  24: { ir: 12, onnxruntime: '1.24' },
}

export const OPSETS = { min: 17, max: 24 } as const

export const irVersion = (opset: number): number => VERSIONS[opset]?.ir ?? 8

/** The first onnxruntime that runs files of an opset, such as `1.18`. */
export const leastRuntime = (opset = 17): string => VERSIONS[opset]?.onnxruntime ?? ''

/** @throws UserError for an opset that files are not written for */
export function checkOpset(opset: number): void {
  if (!VERSIONS[opset])
    throw new UserError(`opset ${opset} is not supported; choose ${OPSETS.min} to ${OPSETS.max}`)
}
