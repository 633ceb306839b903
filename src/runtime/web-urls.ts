/** The files of onnxruntime-web that a device loads. */
export interface WasmFiles {
  /** Address of the script. */
  readonly mjs?: string | URL
  /** Address of the WebAssembly file. */
  readonly wasm?: string | URL
}

/** Where onnxruntime-web's files are: the address of their folder, ending with a slash, or of each file. */
export type WasmPaths = string | WasmFiles

/**
 * The addresses of onnxruntime-web's own files, from which bundlers put them beside the app's scripts. Without a bundler that
 * understands `new URL` they lead nowhere; the build for pages without a bundler has none (web.config.ts).
 */
export const runtimeUrls = (): Readonly<Record<'wasm' | 'webgpu', WasmFiles>> | undefined => ({
  wasm: {
    mjs: new URL('onnxruntime-web/ort-wasm-simd-threaded.mjs', import.meta.url),
    wasm: new URL('onnxruntime-web/ort-wasm-simd-threaded.wasm', import.meta.url),
  },
  webgpu: {
    mjs: new URL('onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs', import.meta.url),
    wasm: new URL('onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm', import.meta.url),
  },
})
