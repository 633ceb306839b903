import loader from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url'
import binary from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url'
import * as ort from 'onnxruntime-web/wasm'
import { deviceOf } from '../../src/runtime/device.ts'
import { makeRuntime, type Ort, type Runtime } from '../../src/runtime/session.ts'

// Both files come from where the page comes from.
const here = (url: string): URL => new URL(url, import.meta.url)
ort.env.wasm.wasmPaths = { mjs: here(loader), wasm: here(binary) }
// Threads share memory, which browsers allow only in cross-origin-isolated pages.
ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1
// Errors reach the page as exceptions.
ort.env.logLevel = 'fatal'

/** onnxruntime-web's WASM build. */
export const runtime: Runtime = makeRuntime(
  ort as unknown as Ort,
  deviceOf('wasm'),
  ort.env.versions.web ?? 'unknown',
)

/** Threads that the runtime uses; final once a model is loaded. */
export const threads = (): number => ort.env.wasm.numThreads ?? 1
