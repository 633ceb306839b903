import type { InferenceSession, Tensor as OrtTensor, TensorConstructor } from 'onnxruntime-node'
import type { TypedArray } from '../export/tensor-data.ts'
import type { DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import type { Device } from './device.ts'

export type { OrtTensor }
export type OrtTensors = Readonly<Record<string, OrtTensor>>

/** The part of onnxruntime that onnxgrad calls; onnxruntime-node and onnxruntime-web both have it. */
export interface Ort {
  readonly InferenceSession: {
    create(bytes: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>
  }
  readonly Tensor: TensorConstructor
}

export interface SessionSettings {
  /** Threads of one op; left out, the runtime takes the physical cores. */
  readonly threads?: number
  /** How far onnxruntime rewrites the graph itself. @default 'all' */
  readonly optimize?: 'disabled' | 'basic' | 'extended' | 'all'
  /** Outputs that stay in the device's memory. */
  readonly resident?: readonly string[]
  readonly profile?: string
}

/** A loaded model. */
export interface Session {
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Runs the model. `into` holds tensors to write outputs into, where the device can. */
  run(feeds: OrtTensors, into?: OrtTensors): Promise<OrtTensors>
  close(): Promise<void>
  endProfiling(): void
}

/** One runtime on one device. */
export interface Runtime {
  readonly device: Device
  readonly version: string
  /** Loads ONNX bytes. @throws UserError when the runtime refuses them */
  load(bytes: Uint8Array, settings?: SessionSettings): Promise<Session>
  /** Wraps an array as a tensor, without a copy on the CPU. */
  tensor(dtype: DType, data: TypedArray, dims: readonly number[]): OrtTensor
}

/** First line of what onnxruntime says, without its error code and the place in its sources. */
export const plainMessage = (error: unknown): string => {
  const text = (error instanceof Error ? error.message : String(error)).replace(
    /^.*\/onnxruntime_src\/.* was false\. /,
    '',
  )
  return text
    .split('\n')[0]!
    .replace(/^\[.*?\]\s*:\s*\d+\s*:\s*\w+\s*:\s*/, '')
    .replace(/^Can't create a session\. ERROR_CODE: \d+, ERROR_MESSAGE: /, '')
    .slice(0, 400)
}

export function makeRuntime(ort: Ort, device: Device, version: string): Runtime {
  const tensor = (dtype: DType, data: TypedArray, dims: readonly number[]): OrtTensor =>
    new ort.Tensor(dtype as 'float32', data as Float32Array, dims)
  return {
    device,
    version,
    tensor,
    async load(bytes, settings = {}) {
      const options: InferenceSession.SessionOptions = {
        executionProviders: [device.provider],
        graphOptimizationLevel: settings.optimize ?? 'all',
        executionMode: 'sequential',
        logSeverityLevel: 4,
        ...(settings.threads ? { intraOpNumThreads: settings.threads } : {}),
        ...(settings.profile ? { enableProfiling: true, profileFilePrefix: settings.profile } : {}),
        ...(settings.resident?.length
          ? { preferredOutputLocation: Object.fromEntries(settings.resident.map(n => [n, 'gpu-buffer'])) }
          : {}),
        // Denormal numbers are slow and far below what training can resolve. Threads that go on
        // spinning after a run would take the cores from the next session (train, then evaluate).
        extra: { session: { set_denormal_as_zero: '1', force_spinning_stop: '1' } },
      }
      const session = await ort.InferenceSession.create(bytes, options).catch((error: unknown) => {
        throw new UserError(`${device.name}: the model could not be loaded: ${plainMessage(error)}`)
      })
      return {
        inputs: session.inputNames,
        outputs: session.outputNames,
        async run(feeds, into) {
          try {
            return (await (into && device.preallocated
              ? session.run(feeds, into)
              : session.run(feeds))) as OrtTensors
          } catch (error) {
            throw new UserError(`${device.name}: the model failed to run: ${plainMessage(error)}`)
          }
        },
        close: () => session.release(),
        endProfiling: () => session.endProfiling(),
      }
    },
  }
}
