import { UserError } from '../graph/errors.ts'

interface Version {
  readonly ir: number
  readonly onnxruntime: string
  /** The first onnxruntime that runs quantized models, where it is a later one. */
  readonly quantized?: string
}

/**
 * Of each opset: the IR version that came with it (onnx/docs/Versioning.md), and the first onnxruntime that runs
 * files of it: tried with each minor release from 1.15 on. Files in float16 and quantized ones need no later release, but for
 * opset 23: 1.23 has no QuantizeLinear of it. That was tried with scripts/check-runtimes.ts: onnxruntime-web 1.12.1, 1.13.1, 1.14.0, 1.15.1, 1.16.3, 1.17.3,
 * 1.18.0, 1.19.2, 1.20.1, 1.21.0, 1.22.0, 1.23.0, 1.23.2, 1.24.3 (WASM), and Python's 1.15.1, 1.16.3, 1.17.3, 1.18.1, 1.20.1, 1.22.1,
 * 1.23.2, 1.24.1 (CPU).
 */
const VERSIONS: Readonly<Record<number, Version>> = {
  17: { ir: 8, onnxruntime: '1.12' },
  18: { ir: 8, onnxruntime: '1.14' },
  19: { ir: 9, onnxruntime: '1.16' },
  20: { ir: 9, onnxruntime: '1.17' },
  21: { ir: 10, onnxruntime: '1.18' },
  22: { ir: 10, onnxruntime: '1.21' },
  23: { ir: 11, onnxruntime: '1.23', quantized: '1.24' },
  24: { ir: 12, onnxruntime: '1.24' },
}

export const OPSETS = { min: 17, max: 24 } as const

export const irVersion = (opset: number): number => VERSIONS[opset]?.ir ?? 8

/**
 * The first onnxruntime that runs files of an opset, such as `1.18`.
 * @param quantized whether the file has QuantizeLinear or DequantizeLinear
 */
export function leastRuntime(opset = 17, quantized = false): string {
  const { onnxruntime = '', quantized: later = onnxruntime } = VERSIONS[opset] ?? {}
  return quantized ? later : onnxruntime
}

/** @throws UserError for an opset that files are not written for */
export function checkOpset(opset: number): void {
  if (!VERSIONS[opset])
    throw new UserError(`opset ${opset} is not supported; choose ${OPSETS.min} to ${OPSETS.max}`)
}
