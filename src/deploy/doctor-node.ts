import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { dirname } from 'node:path'
import { cacheFolder } from '../data/cache-node.ts'
import { packagedDigits } from '../data/digits-node.ts'
import { codeOf } from '../data/files-node.ts'
import { loadSharp } from '../data/image-node.ts'
import { messageOf, UserError } from '../graph/errors.ts'
import { DEVICES } from '../runtime/device.ts'
import { loadNative } from '../runtime/native-node.ts'
import { nodeRuntime } from '../runtime/node.ts'

/** Whether a part works here. */
export interface Found {
  readonly works: boolean
  /** A version or place; where it does not work, why, and what to do. */
  readonly detail: string
}

/** Tries one. */
export const attempt = async (work: () => Promise<string>): Promise<Found> => {
  try {
    return { works: true, detail: await work() }
  } catch (error) {
    return { works: false, detail: messageOf(error).replaceAll('\n', ' ') }
  }
}

/** Each device, tried with a model of one node. */
export const DEVICE_CHECKS = Object.fromEntries(
  Object.values(DEVICES).map(({ name }) => [
    name,
    async () =>
      `${name === 'wasm' ? 'onnxruntime-web' : 'onnxruntime-node'} ${(await nodeRuntime(name)).version}`,
  ]),
)

/** What else programs need, or are better with. */
export const PART_CHECKS = {
  node: async () => `${process.versions.node} (20.19 or newer is needed)`,
  'onnxruntime-node': async () => (await loadNative()).version,
  sharp: async () => {
    const { versions } = await loadSharp()
    return `${versions.sharp} (reads and writes pictures)`
  },
  digits: async () => `${(await packagedDigits()).size.toLocaleString('en-US')} of MNIST`,
  cache: async () => {
    const folder = cacheFolder()
    if (!folder)
      throw new UserError('there is no home folder for downloads; name a folder with ONNXGRAD_CACHE')
    return `${await writable(dirname(folder))} (for downloads)`
  },
}

/** @throws UserError when a folder cannot be written to, or made */
async function writable(folder: string): Promise<string> {
  for (let at = folder; ; at = dirname(at))
    try {
      await access(at, constants.W_OK)
      return folder
    } catch (error) {
      if (codeOf(error) === 'ENOENT' && dirname(at) !== at) continue
      throw new UserError(
        `${folder} cannot be written to (${codeOf(error)}); name another with ONNXGRAD_CACHE`,
      )
    }
}
