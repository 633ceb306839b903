import gpuLoader from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url'
import gpuBinary from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'
import loader from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url'
import binary from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url'
import { type WebDeviceName, type WebOptions, type WebRuntime, webRuntime } from '../../../src/runtime/web.ts'

// onnxruntime-web's files come from where the page comes from.
const here = (url: string): URL => new URL(url, import.meta.url)
const paths = {
  wasm: { mjs: here(loader), wasm: here(binary) },
  webgpu: { mjs: here(gpuLoader), wasm: here(gpuBinary) },
} as const

/** onnxruntime-web with the files that the page brings. */
export const openRuntime = (device: WebDeviceName, options: WebOptions = {}): Promise<WebRuntime> =>
  webRuntime({ ...options, device, wasmPaths: paths[device] })
