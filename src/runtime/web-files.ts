import type { WebDeviceName } from './web.ts'

/**
 * The files of onnxruntime-web's `dist` that a page needs for each device: the script that pages without a bundler import, and what that
 * loads.
 */
export const WEB_FILES: Readonly<
  Record<WebDeviceName, { readonly script: string; readonly loader: string; readonly binary: string }>
> = {
  wasm: {
    script: 'ort.wasm.min.mjs',
    loader: 'ort-wasm-simd-threaded.mjs',
    binary: 'ort-wasm-simd-threaded.wasm',
  },
  webgpu: {
    script: 'ort.webgpu.min.mjs',
    loader: 'ort-wasm-simd-threaded.asyncify.mjs',
    binary: 'ort-wasm-simd-threaded.asyncify.wasm',
  },
}
