import { createRequire } from 'node:module'
import { UserError } from '../graph/errors.ts'
import { deviceOf } from './device.ts'
import { makeRuntime, type Ort, type Runtime } from './session.ts'

const require = createRequire(import.meta.url)

/**
 * onnxruntime-node on the named device.
 * @throws UserError when this machine does not have the device; there is no silent fall-back
 */
export async function nodeRuntime(name: string): Promise<Runtime> {
  const device = deviceOf(name)
  if (device.name === 'wasm') return wasmRuntime()
  const ort = await import('onnxruntime-node').catch((error: unknown) => {
    throw new UserError(`onnxruntime-node cannot be loaded (${String(error)}); ${device.install}`)
  })
  const known = ort.listSupportedBackends().some(b => b.name === device.provider)
  if (!known) throw new UserError(`device ${name} is not available on this platform; ${device.install}`)
  const { version } = require('onnxruntime-node/package.json') as { version: string }
  return makeRuntime(ort as unknown as Ort, device, version)
}

/** onnxruntime-web's WASM build, as pages run it, in Node. */
export async function wasmRuntime(): Promise<Runtime> {
  const ort = await import('onnxruntime-web')
  const version = ort.env.versions.web ?? 'unknown'
  // One thread, as in a page without cross-origin isolation; Node could not end while worker threads wait.
  ort.env.wasm.numThreads = 1
  return makeRuntime(ort as unknown as Ort, deviceOf('wasm'), version)
}
