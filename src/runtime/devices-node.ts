import { UserError } from '../graph/errors.ts'
import { DEVICES, type DeviceInfo } from './device.ts'
import { workerRuntime } from './worker-node.ts'

/** Which devices work here, and why not the others. Each is tried on a model of one node. */
export async function devices(): Promise<readonly DeviceInfo[]> {
  const found: DeviceInfo[] = []
  // One after the other: two of them may want the same GPU.
  for (const { name } of Object.values(DEVICES))
    try {
      const runtime = await workerRuntime(name)
      await runtime.close()
      found.push({ name, available: true, detail: `onnxruntime ${runtime.version}` })
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      found.push({ name, available: false, reason: error.message })
    }
  return found
}
