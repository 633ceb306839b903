import { UserError } from '../graph/errors.ts'
import { DEVICES, type DeviceInfo } from './device.ts'
import { workerRuntime } from './worker-node.ts'

/** The devices that work here, and why the others do not. Each is tested with a one-node model. */
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
