import { UserError } from '../graph/errors.ts'
import { runtimeUrls, type WasmPaths } from './web-urls.ts'

/** Whether this file is served as it is in the package, as development servers do, or has become part of an app's script. */
const bundled = (): boolean => !/\/(node_modules|runtime)\//.test(import.meta.url)

async function isScript(address: string | URL): Promise<boolean> {
  const answer = await fetch(address).catch(() => undefined)
  return answer?.ok === true && /javascript/.test(answer.headers.get('content-type') ?? '')
}

/**
 * How onnxruntime-web starts its threads. They run the script that its loader stands in: where a bundler has put it into the
 * app's, that is the app once more, which may never answer. So threads get the loader as a file of its own.
 * @param asked whether somebody asked for these threads
 * @returns as many threads as are safe
 * @throws UserError when more were asked for
 */
export async function safeThreads(
  device: 'wasm' | 'webgpu',
  threads: number,
  wasmPaths: WasmPaths | undefined,
  asked: boolean,
): Promise<{ threads: number; wasmPaths: WasmPaths | undefined }> {
  const own = typeof wasmPaths === 'string' ? undefined : wasmPaths
  const named = typeof wasmPaths === 'string' || own?.mjs !== undefined
  const files = named || threads === 1 ? undefined : runtimeUrls()?.[device]
  if (!files?.mjs) return { threads, wasmPaths }
  if (await isScript(files.mjs)) return { threads, wasmPaths: { ...files, ...own } }
  if (!bundled()) return { threads, wasmPaths }
  const why = `the bundler has put onnxruntime-web's loader into the app's script, which threads would run again; name the files with wasmPaths: { mjs, wasm } (see examples/vite)`
  if (asked) throw new UserError(`${threads} threads are not possible here: ${why}`)
  console.warn(`onnxgrad: ${device} uses one thread: ${why}`)
  return { threads: 1, wasmPaths }
}
