import { availableParallelism } from 'node:os'
import { debugLevel } from '../graph/debug.ts'
import { UserError } from '../graph/errors.ts'
import { input } from '../graph/leaf.ts'
import { add } from '../ops/elementwise.ts'
import { type Device, type DeviceName, deviceOf } from './device.ts'
import { evaluate } from './evaluate.ts'
import { loadNative, NativeProblem } from './native-node.ts'
import { type GraphProfile, startProfile } from './profile-node.ts'
import { makeRuntime, ortOf, plainMessage, type Runtime } from './session.ts'

/**
 * The runtime of the named device, tried out on a model of one node: onnxruntime-node, or for `wasm` onnxruntime-web.
 * @param onProfile receives where the time of each graph went, when it is closed; onnxruntime-node alone measures that
 * @throws UserError when the device does not work here, saying how to get it; there is no silent fallback
 */
export async function nodeRuntime(
  name: string,
  onProfile?: (profile: GraphProfile) => void,
): Promise<Runtime> {
  const device = deviceOf(name)
  try {
    const runtime = await (device.name === 'wasm' ? wasmRuntime() : nativeRuntime(device, onProfile))
    const x = input('x', 'float32', [1])
    await evaluate(runtime, { y: add(x, 1) }, { x: [1] })
    return runtime
  } catch (error) {
    const why = plainMessage(error).replace(/^.*the model (could not be loaded|failed to run): /, '')
    throw new UserError(
      `device ${name} is not available: ${why}${error instanceof NativeProblem ? '' : `; ${device.install}`}`,
    )
  }
}

async function nativeRuntime(device: Device, onProfile?: (profile: GraphProfile) => void): Promise<Runtime> {
  const { ort, version } = await loadNative()
  return makeRuntime(
    ort,
    device,
    version,
    onProfile || debugLevel() >= 3 ? () => startProfile(onProfile) : undefined,
  )
}

/** As many as a page takes, but no more than half of the processors: two threads on one core wait for each other. */
const wasmThreads = (): number => Math.max(1, Math.min(4, availableParallelism() >> 1))

/**
 * onnxruntime-web's WASM build, as pages run it, in Node.
 * @param threads the first call in a thread decides; onnxruntime-web cannot change them
 */
export async function wasmRuntime(threads = wasmThreads()): Promise<Runtime> {
  const ort = await import('onnxruntime-web')
  ort.env.wasm.numThreads = threads
  return makeRuntime(ortOf(ort), deviceOf('wasm'), ort.env.versions.web ?? 'unknown')
}

export type { DeviceName } from './device.ts'

/** The default device. */
export interface DefaultDevice {
  readonly device: DeviceName
  /** Why it is not the CPU in onnxruntime-node, and how to get that: one line. */
  readonly notice?: string
}

/** The CPU in onnxruntime-node; where that cannot be loaded, WASM, which is several times slower. */
export async function defaultDevice(): Promise<DefaultDevice> {
  try {
    await loadNative()
    return { device: 'cpu' }
  } catch (error) {
    if (!(error instanceof NativeProblem)) throw error
    return { device: 'wasm', notice: `running on WASM, which is slower: ${error.message}` }
  }
}
