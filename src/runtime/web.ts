import { lower } from '../export/lower.ts'
import { UserError } from '../graph/errors.ts'
import { input } from '../graph/leaf.ts'
import { present } from '../graph/present.ts'
import { add } from '../ops/elementwise.ts'
import { type DeviceInfo, type DeviceName, deviceOf } from './device.ts'
import {
  makeRuntime,
  type Ort,
  type OrtSession,
  ortOf,
  plainMessage,
  type Runtime,
  type Session,
} from './session.ts'
import { safeThreads } from './web-threads.ts'
import type { WasmPaths } from './web-urls.ts'

/** The devices of a page. */
export type WebDeviceName = Extract<DeviceName, 'wasm' | 'webgpu'>

/** Where models run, and how. */
export interface WebOptions {
  /** `wasm`, the CPU, or `webgpu`. @default 'wasm' */
  readonly device?: WebDeviceName | undefined
  /**
   * Threads of the CPU. They share memory, which browsers allow in cross-origin-isolated pages only.
   * @default up to 4 in an isolated page, else 1
   */
  readonly threads?: number | undefined
  /**
   * Where onnxruntime-web's files are: the address of a folder that has them all, ending with a slash, or of the two
   * files `{ mjs, wasm }` of the device: `ort-wasm-simd-threaded` for wasm, `ort-wasm-simd-threaded.asyncify` for webgpu.
   * @default beside the script that holds onnxruntime-web; for threads, where Vite or webpack puts them
   */
  readonly wasmPaths?: WasmPaths | undefined
  /** Called when the GPU is gone: nothing runs on this runtime any more, and what it held is lost. */
  readonly onLost?: ((reason: string) => void) | undefined
}

/** onnxruntime-web on a device of this page or worker. */
export interface WebRuntime extends Runtime {
  /** Threads of the CPU. */
  readonly threads: number
}

const MOST_THREADS = 4
const ISOLATE =
  'more need a cross-origin-isolated page: serve it with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp'

/** Whether threads of the page may share memory. */
const isolated = (): boolean => globalThis.crossOriginIsolated === true

function threadsFor(asked: number | undefined): number {
  if (asked === undefined) return isolated() ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1
  if (!Number.isInteger(asked) || asked < 1)
    throw new UserError(`threads must be a whole number of at least 1, not ${asked}`)
  if (asked > 1 && !isolated()) throw new UserError(`${asked} threads are not possible here: ${ISOLATE}`)
  return asked
}

/** A build of onnxruntime-web. Each is fetched when its device is asked for, and lives as long as the page or worker. */
const builds = {
  wasm: () => import('onnxruntime-web/wasm'),
  webgpu: () => import('onnxruntime-web/webgpu'),
} as const

/** Threads that a build has started with; it cannot change them. */
const started = new Map<WebDeviceName, number>()

/**
 * onnxruntime-web in this page or worker, tried out on a model of one node. While a model runs on wasm, its thread does nothing
 * else: a page that must not freeze asks for it in a worker.
 * @throws UserError when the device does not work here, saying what to do; there is no silent fallback
 */
export async function webRuntime(options: WebOptions = {}): Promise<WebRuntime> {
  const { device = 'wasm', onLost } = options
  if (!Object.hasOwn(builds, device))
    throw new UserError(`unknown device ${device} in a browser; choose one of wasm, webgpu`)
  const possible = started.get(device) ?? threadsFor(options.threads)
  if (options.threads !== undefined && options.threads !== possible)
    throw new UserError(
      `${device} already runs with ${possible} threads in this worker; start another worker for ${options.threads}`,
    )
  if (device === 'webgpu') {
    const { available, reason } = await webgpuDevice()
    if (!available) throw unavailable(device, present(reason, 'reason'))
  }
  const asked = options.threads !== undefined
  const { threads, wasmPaths } = await safeThreads(device, possible, options.wasmPaths, asked)
  const ort = await builds[device]().catch((error: unknown) => {
    throw unavailable(device, plainMessage(error))
  })
  ort.env.wasm.numThreads = threads
  if (wasmPaths !== undefined) ort.env.wasm.wasmPaths = wasmPaths
  // Its errors come back as exceptions; on the console they would be said twice.
  ort.env.logLevel = 'fatal'
  const loss = new Loss()
  const runtime = makeRuntime(polite(ortOf(ort), loss), deviceOf(device), ort.env.versions.web ?? 'unknown')
  const tried = await tryOut(runtime).catch((error: unknown) => {
    throw unavailable(device, plainMessage(error))
  })
  started.set(device, threads)
  let closed = false
  if (device === 'webgpu') {
    const gpu: GPUDevice = await ort.env.webgpu.device
    void gpu.lost.then(({ message, reason }) => {
      if (closed) return
      loss.tell(message || reason)
      onLost?.(message || reason)
    })
  }
  return {
    ...runtime,
    threads,
    async close() {
      closed = true
      await tried.close()
      await runtime.close()
    },
  }
}

/** Runs a model of one node. The session stays open, because onnxruntime lets go of the GPU when it closes its last one. */
async function tryOut(runtime: Runtime): Promise<Session> {
  const x = input('x', 'float32', [1])
  const graph = { inputs: { x }, parameters: {}, outputs: { y: add(x, 1) } }
  const session = await runtime.load(lower(graph, { name: 'try', opset: 17 }))
  await session.run({ x: runtime.tensor('float32', Float32Array.of(1), [1]) })
  return session
}

const unavailable = (device: WebDeviceName, why: string): UserError => {
  const missing =
    /dynamically imported module|no available backend|both async and sync fetching|initializeWebAssembly/.test(
      why,
    )
  const cure = missing
    ? "; onnxruntime-web's files ort-wasm-simd-threaded* must be where wasmPaths points and must be served as text/javascript and application/wasm; then reload the page"
    : ''
  return new UserError(`device ${device} is not available: ${why}${cure}`)
}

/** Whether the GPU is gone. */
class Loss {
  error: Error | undefined
  readonly #waiting = new Set<(error: Error) => void>()

  tell(why: string): void {
    this.error = new Error(`the GPU was lost (${why}); start again, or use wasm if that fails too`)
    for (const reject of this.#waiting) reject(this.error)
  }

  /** What work answers; it may never do so once the GPU is gone. */
  async orFailure<T>(work: () => Promise<T>): Promise<T> {
    if (this.error) throw this.error
    let fail: (error: Error) => void
    return new Promise<T>((resolve, reject) => {
      fail = reject
      this.#waiting.add(fail)
      work().then(resolve, reject)
    }).finally(() => this.#waiting.delete(fail))
  }
}

/**
 * Sessions that let what waits go first, such as a message that says stop: onnxruntime-web computes before it
 * returns, and answers without a turn of the event loop. What fails because the GPU is gone, or would never answer,
 * says that.
 */
function polite(ort: Ort, loss: Loss): Ort {
  const explained = async <T>(work: () => Promise<T>): Promise<T> => {
    await turn()
    return loss.orFailure(work).catch(async (error: unknown) => {
      // The loss may be told after the failure that it makes.
      await turn()
      throw loss.error ?? error
    })
  }
  return {
    Tensor: ort.Tensor,
    InferenceSession: {
      async create(bytes, settings) {
        const session = await explained(() => ort.InferenceSession.create(bytes, settings))
        const run = session.run.bind(session)
        session.run = (...args: Parameters<OrtSession['run']>) => explained(() => run(...args))
        return session
      },
    },
  }
}

/** A turn of the event loop; timers would make it four milliseconds long. */
const turn = (): Promise<void> =>
  new Promise(resolve => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(null)
  })

/** Which devices this browser has, and why not the others. */
export async function webDevices(): Promise<readonly DeviceInfo<WebDeviceName>[]> {
  return [wasmDevice(), await webgpuDevice()]
}

function wasmDevice(): DeviceInfo<WebDeviceName> {
  if (typeof WebAssembly !== 'object')
    return { name: 'wasm', available: false, reason: 'this browser has no WebAssembly; use a newer one' }
  const threads = threadsFor(undefined)
  const why = isolated() ? '' : `; ${ISOLATE}`
  return { name: 'wasm', available: true, detail: `${threads} thread${threads > 1 ? 's' : ''}${why}` }
}

async function webgpuDevice(): Promise<DeviceInfo<WebDeviceName>> {
  const no = (reason: string): DeviceInfo<WebDeviceName> => ({ name: 'webgpu', available: false, reason })
  if (!isSecureContext) return no('browsers give a GPU to https pages and to localhost only')
  const gpu: GPU | undefined = navigator.gpu
  if (!gpu)
    return no('this browser has no WebGPU; Chrome and Edge 113, Firefox 141 and Safari 26 or newer have it')
  // An adapter that the browser blocks is an error in some, null in others.
  const adapter = await gpu.requestAdapter().catch(() => null)
  if (!adapter) return no('the browser found no usable GPU; see chrome://gpu or about:support for why')
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info
  const name = description || [vendor, architecture, device].filter(Boolean).join(' ') || 'unnamed GPU'
  return {
    name: 'webgpu',
    available: true,
    detail:
      isFallbackAdapter || /swiftshader|llvmpipe/i.test(`${architecture} ${name}`)
        ? `${name}, in software: no GPU, slower than wasm`
        : name,
  }
}
