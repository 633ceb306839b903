import { type WebDeviceName, type WebOptions, type WebRuntime, webRuntime } from '../../../src/runtime/web.ts'
import { WEB_FILES } from '../../../src/runtime/web-files.ts'

// onnxruntime-web's files come from the folder runtime/ beside the page, whose address is the worker's name.
const here = (file: string): URL => new URL(`runtime/${file}`, self.name)

/** onnxruntime-web with the files beside the page. */
export function openRuntime(device: WebDeviceName, options: WebOptions = {}): Promise<WebRuntime> {
  const { loader, binary } = WEB_FILES[device]
  return webRuntime({ ...options, device, wasmPaths: { mjs: here(loader), wasm: here(binary) } })
}
