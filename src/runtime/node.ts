import { createRequire } from 'node:module'
import { UserError } from '../graph/errors.ts'
import { input } from '../graph/leaf.ts'
import { add } from '../ops/elementwise.ts'
import { deviceOf } from './device.ts'
import { evaluate } from './evaluate.ts'
import { makeRuntime, type Ort, plainMessage, type Runtime } from './session.ts'

const require = createRequire(import.meta.url)

/**
 * onnxruntime-node on the named device, tried out on a model of one node.
 * @throws UserError when the device does not work here, saying how to get it; there is no silent fall-back
 */
export async function nodeRuntime(name: string): Promise<Runtime> {
  const device = deviceOf(name)
  if (device.name === 'wasm') return wasmRuntime()
  const ort = await import('onnxruntime-node').catch((error: unknown) => {
    const remedy = isMusl()
      ? 'its native library needs glibc, and this Linux has musl instead (as Alpine does): use a Linux with glibc, such as Debian, or --device wasm'
      : device.install
    throw new UserError(`onnxruntime-node cannot be loaded (${plainMessage(error)}); ${remedy}`)
  })
  // Its errors come back as exceptions; on stderr they would be said twice.
  ort.env.logLevel = 'fatal'
  const { version } = require('onnxruntime-node/package.json') as { version: string }
  const runtime = makeRuntime(ort as unknown as Ort, device, version)
  const x = input('x', 'float32', [1])
  await evaluate(runtime, { y: add(x, 1) }, { x: [1] }).catch((error: unknown) => {
    throw new UserError(
      `device ${name} is not available: ${plainMessage(error).replace(/^.*: /, '')}; ${device.install}`,
    )
  })
  return runtime
}

/** Whether this is a Linux without glibc. */
function isMusl(): boolean {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } }
  return process.platform === 'linux' && header.glibcVersionRuntime === undefined
}

/** onnxruntime-web's WASM build, as pages run it, in Node. */
export async function wasmRuntime(): Promise<Runtime> {
  const ort = await import('onnxruntime-web')
  const version = ort.env.versions.web ?? 'unknown'
  // One thread, as in a page without cross-origin isolation; Node could not end while worker threads wait.
  ort.env.wasm.numThreads = 1
  return makeRuntime(ort as unknown as Ort, deviceOf('wasm'), version)
}
