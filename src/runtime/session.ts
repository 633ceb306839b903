import { lower } from '../export/lower.ts'
import { readModel } from '../export/read-model.ts'
import { copyElements, type TypedArray } from '../graph/array.ts'
import type { DType } from '../graph/dtype.ts'
import { UserError } from '../graph/errors.ts'
import { input } from '../graph/leaf.ts'
import { lookup } from '../graph/present.ts'
import type { Device } from './device.ts'

/** A tensor passed to or returned by a runtime. */
export interface OrtTensor {
  /** Its dtype. */
  readonly type: string
  /** Sizes of the axes. */
  readonly dims: readonly number[]
  /** Elements in row-major order. */
  readonly data: TypedArray
}
/** Such tensors by name. */
export type OrtTensors = Readonly<Record<string, OrtTensor>>

/** A tensor held by its runtime: runs read and write it without copying. */
export interface Held {
  /** Element type. */
  readonly dtype: DType
  /** Sizes of the axes. */
  readonly dims: readonly number[]
}

/** A tensor of onnxruntime. */
export interface OrtValue extends OrtTensor {
  /** Where its data are, such as `cpu` or `gpu-buffer`. */
  readonly location: string
  dispose(): void
}
type OrtValues = Readonly<Record<string, OrtValue>>

/** A session of onnxruntime. */
export interface OrtSession {
  readonly inputNames: readonly string[]
  readonly outputNames: readonly string[]
  /** @param into where outputs are written that have a tensor here */
  run(feeds: OrtValues, into?: Readonly<Record<string, OrtValue | null>>): Promise<OrtValues>
  /** Ends a profile and writes its file. */
  endProfiling(): void
  release(): Promise<void>
}

/**
 * The part of onnxruntime that onnxgrad calls; onnxruntime-node and onnxruntime-web both have it. Its own declarations are not used,
 * so that those of onnxgrad need neither the DOM nor another package.
 */
export interface Ort {
  readonly InferenceSession: {
    create(bytes: Uint8Array, options: Readonly<Record<string, unknown>>): Promise<OrtSession>
  }
  readonly Tensor: new (type: string, data: TypedArray, dims: readonly number[]) => OrtValue
}

/** A build of onnxruntime as that part: the one cast between its declarations and these. */
export const ortOf = (build: { readonly InferenceSession: unknown; readonly Tensor: unknown }): Ort =>
  build as Ort

/** What a run reads, and where it writes, by the names of inputs and outputs. */
export type Feeds = Readonly<Record<string, OrtTensor | Held>>
/** Held tensors by name. */
export type HeldTensors = Readonly<Record<string, Held>>

/** How a model is loaded. */
export interface SessionSettings {
  /** Threads of one op; left out, the runtime takes the physical cores. */
  readonly threads?: number
  /** How far onnxruntime rewrites the graph itself. @default 'all' */
  readonly optimize?: 'disabled' | 'basic' | 'extended' | 'all'
  /** Outputs that runs write into held tensors. */
  readonly held?: readonly string[]
}

/** A loaded model. */
export interface Session {
  /** Names of the inputs. */
  readonly inputs: readonly string[]
  /** Names of the outputs. */
  readonly outputs: readonly string[]
  /** Milliseconds that the runtime was idle before the last finished run. */
  readonly idle: number
  /**
   * Runs the model, after all earlier requests to the runtime. Its inputs must not change until it resolves. Outputs named in
   * `into` are written there; all others are returned.
   * @throws UserError when the runtime cannot run the model on these inputs
   */
  run(feeds: Feeds, into?: HeldTensors): Promise<OrtTensors>
  /** Releases the model. */
  close(): Promise<void>
}

/** One runtime on one device. */
export interface Runtime {
  /** Where it runs. */
  readonly device: Device
  /** Version of onnxruntime. */
  readonly version: string
  /** Whether the calling thread stays free while a model runs. */
  readonly parallel: boolean
  /** Loads ONNX bytes. @throws UserError when the runtime refuses them */
  load(bytes: Uint8Array, settings?: SessionSettings): Promise<Session>
  /** A tensor to feed to a run; `data` is not copied here. */
  tensor(dtype: DType, data: TypedArray, dims: readonly number[]): OrtTensor
  /** Memory whose contents are passed to a run with as few copies as possible. */
  readonly allocate: (bytes: number) => ArrayBufferLike
  /** A held tensor with a copy of `data`; without data it can be read after a run has written it. */
  hold(dtype: DType, dims: readonly number[], data?: TypedArray): Held
  /** A copy of a held tensor after all runs so far. */
  read(held: Held): Promise<TypedArray>
  /** Frees a held tensor. */
  release(held: Held): void
  /** Releases the runtime; it cannot be used afterwards. */
  close(): Promise<void>
}

/** What onnxruntime says, in one line, without its error code, the place in its sources, and its stack. */
export const plainMessage = (error: unknown): string => {
  const [text = ''] = (error instanceof Error ? error.message : String(error)).split(
    /\n\s*(?:stack ?trace|at )/i,
  )
  return text
    .replace(/^.*\/onnxruntime_src\/.* was false\. /, '')
    .replace(/\/onnxruntime_src\/\S+:\d+ [^)]*\) /, '')
    .replace(/^\[.*?\]\s*:\s*\d+\s*:\s*\w+\s*:\s*/, '')
    .replace(/^Can't create a session\. ERROR_CODE: \d+, ERROR_MESSAGE: /, '')
    .trim()
    .replace(/\s*\n\s*/g, ' ')
    .slice(0, 600)
}

/** onnxruntime's options for a session. */
function optionsFor(device: Device, settings: SessionSettings): Readonly<Record<string, unknown>> {
  const { held, optimize, threads } = settings
  return {
    executionProviders: [device.provider],
    graphOptimizationLevel: optimize ?? 'all',
    executionMode: 'sequential',
    logSeverityLevel: 4,
    // A pattern is one block for all tensors of a run, beside those that its first run allocated: twice the memory for
    // no time (measured on training steps; onnxruntime 1.30).
    enableMemPattern: false,
    ...(threads ? { intraOpNumThreads: threads } : {}),
    ...(device.resident && held?.length
      ? { preferredOutputLocation: Object.fromEntries(held.map(n => [n, 'gpu-buffer'])) }
      : {}),
    // Denormal numbers are slow and far below what training can resolve. Threads that go on
    // spinning after a run would take the cores from the next session (train, then evaluate).
    extra: { session: { set_denormal_as_zero: '1', force_spinning_stop: '1', load_model_format: 'ONNX' } },
  }
}

/** onnxruntime takes no memory that threads share: what lies there is copied, each time into the same array. */
function unsharing(): (name: string, tensor: OrtTensor) => TypedArray {
  const copies = new Map<string, TypedArray>()
  return (name, { data }) => {
    if (data.buffer instanceof ArrayBuffer) return data
    const known = copies.get(name)
    if (known?.length === data.length) {
      copyElements(known, data)
      return known
    }
    // A slice has its own memory, which is not shared.
    const copy = data.slice()
    copies.set(name, copy)
    return copy
  }
}

/** onnxruntime gives float16 as a Float16Array where the engine has it. */
const plain = ({ type, dims, data }: OrtValue): OrtTensor => ({
  ...{ type, dims },
  data:
    type === 'float16' && !(data instanceof Uint16Array)
      ? new Uint16Array(data.buffer, data.byteOffset, data.length)
      : data,
})

/** What looks where the time of a session goes; see profile-node.ts. */
export interface Profile {
  readonly options: { readonly enableProfiling: true; readonly profileFilePrefix: string }
  end(session: OrtSession, name: string): void
}

/**
 * onnxruntime in the thread that asks: while a model runs, nothing else does.
 * @param profile begins the profile of a session
 */
export function makeRuntime(ort: Ort, device: Device, version: string, profile?: () => Profile): Runtime {
  const values = new Map<Held, OrtValue | undefined>()
  let last: Promise<unknown> = Promise.resolve()
  let idleSince = performance.now()
  /** Requests are processed in order: a run may read what the previous one writes. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work)
    last = result.catch(() => {})
    return result
  }
  const make = (type: string, data: TypedArray, dims: readonly number[]): OrtValue =>
    new ort.Tensor(type, data, dims)
  const holding = (held: Held): OrtValue => {
    const value = values.get(held)
    if (!value) throw new Error('internal: a held tensor is read before it is written or after its release')
    return value
  }
  const create = async (bytes: Uint8Array, settings: SessionSettings, profiled = profile?.()) => {
    const failed = `${device.name}: the model could not be loaded`
    const { proto } = readModel(bytes, failed)
    const options = { ...optionsFor(device, settings), ...profiled?.options }
    const session = await ort.InferenceSession.create(bytes, options).catch((error: unknown) => {
      throw new UserError(`${failed}: ${plainMessage(error)}`)
    })
    const release = (): Promise<void> => {
      profiled?.end(session, proto.graph?.name ?? 'model')
      return session.release()
    }
    return { session, release }
  }

  return {
    device,
    version,
    parallel: false,
    tensor: (type, data, dims) => ({ type, data, dims }),
    allocate: bytes => new ArrayBuffer(bytes),
    hold(dtype, dims, data) {
      const held: Held = { dtype, dims }
      values.set(held, data && make(dtype, data.slice(), dims))
      return held
    },
    read: held =>
      inTurn(async () => {
        const value = holding(held)
        if (value.location !== 'gpu-buffer') return value.data.slice()
        // getData() on a GPU tensor aborts Node (onnxruntime 1.30): a graph that returns it on the CPU does not.
        const reader = await create(identityBytes(held), { optimize: 'disabled' })
        const got = await reader.session.run({ x: value })
        await reader.release()
        return lookup(got, 'y').data
      }),
    release(held) {
      inTurn(async () => {
        values.get(held)?.dispose()
        values.delete(held)
      })
    },
    close: () => inTurn(async () => {}),

    async load(bytes, settings = {}) {
      const { session, release } = await create(bytes, settings)
      const unshared = unsharing()
      let idle = 0

      const run = async (feeds: Feeds, into: HeldTensors): Promise<OrtTensors> => {
        const given: Record<string, OrtValue> = {}
        for (const [name, t] of Object.entries(feeds))
          given[name] = 'data' in t ? make(t.type, unshared(name, t), t.dims) : holding(t)
        const places: Record<string, OrtValue | null> = {}
        for (const name of session.outputNames) places[name] = (into[name] && values.get(into[name])) ?? null
        const got = await (device.preallocated ? session.run(given, places) : session.run(given))
        for (const [name, held] of Object.entries(into)) {
          const before = values.get(held)
          if (device.resident) before?.dispose()
          values.set(held, got[name])
        }
        return Object.fromEntries(
          session.outputNames.filter(name => !into[name]).map(name => [name, plain(lookup(got, name))]),
        )
      }

      return {
        inputs: session.inputNames,
        outputs: session.outputNames,
        get idle() {
          return idle
        },
        run: (feeds, into = {}) =>
          inTurn(async () => {
            idle = performance.now() - idleSince
            try {
              return await run(feeds, into)
            } catch (error) {
              throw new UserError(`${device.name}: the model failed to run: ${plainMessage(error)}`)
            } finally {
              idleSince = performance.now()
            }
          }),
        close: () => inTurn(release),
      }
    },
  }
}

/** A graph whose output is its input, for reading what lies on a device. */
function identityBytes({ dtype, dims }: Held): Uint8Array {
  const x = input('x', dtype, dims)
  return lower({ inputs: { x }, parameters: {}, outputs: { y: x } }, { name: 'read', opset: 21 })
}
