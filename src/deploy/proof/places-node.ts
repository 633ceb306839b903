import { UserError } from '../../graph/errors.ts'
import { fieldsOf, isKey, keysOf } from '../../graph/keys.ts'
import type { DeviceName } from '../../runtime/device.ts'
import { nodeRuntime } from '../../runtime/node.ts'
import type { Runtime } from '../../runtime/session.ts'
import { chromiumRuntime } from './chromium-node.ts'
import type { ProofDevice } from './proof.ts'
import type { Place } from './prove.ts'

interface Row {
  readonly runtime: string
  /** Examples that are compared, where it is too slow for all. */
  readonly count?: number
}

/** Where files are proved, in this order. */
export const PROOF_DEVICES: Readonly<Record<ProofDevice, Row>> = {
  cpu: { runtime: 'onnxruntime-node cpu' },
  wasm: { runtime: 'onnxruntime-web wasm', count: 1000 },
  webgpu: { runtime: 'onnxruntime-node webgpu', count: 256 },
  cuda: { runtime: 'onnxruntime-node cuda' },
  'chromium-wasm': { runtime: 'onnxruntime-web wasm in Chromium', count: 1000 },
  'chromium-webgpu': { runtime: 'onnxruntime-web webgpu in Chromium', count: 256 },
}

export interface PlaceOptions {
  /** Most examples on every device. @default all on cpu and cuda, 1,000 on WASM, 256 on WebGPU */
  readonly count?: number | undefined
  /** Seconds in which a page loads a model, and computes a batch. */
  readonly timeout?: number | undefined
  /** Opens a device of Node. @default nodeRuntime */
  readonly open?: ((device: DeviceName) => Promise<Runtime>) | undefined
  /** Whether devices that do not work here are left out. */
  readonly optional?: boolean | undefined
}

const isChromium = (device: ProofDevice): device is 'chromium-wasm' | 'chromium-webgpu' =>
  device.startsWith('chromium-')

const detailOf = (runtime: Runtime): string | undefined => {
  const { detail } = fieldsOf(runtime)
  if (typeof detail === 'string') return detail
  return runtime.parallel ? 'in a process of its own; the times include copying to it and back' : undefined
}

/** The places of devices. @throws UserError for an unknown one */
export function placesOf(devices: readonly string[], options: PlaceOptions = {}): Place[] {
  const { open = nodeRuntime, timeout, optional = false } = options
  return [...new Set(devices)].map(device => {
    if (!isKey(PROOF_DEVICES, device))
      throw new UserError(`unknown device ${device}; choose one of ${keysOf(PROOF_DEVICES).join(', ')}`)
    const { runtime, count } = PROOF_DEVICES[device]
    return {
      ...{ device, runtime, optional },
      count: options.count ?? count,
      open: () =>
        isChromium(device)
          ? chromiumRuntime(
              device === 'chromium-wasm' ? 'wasm' : 'webgpu',
              timeout === undefined ? {} : { timeout },
            )
          : open(device),
      detail: detailOf,
    }
  })
}
