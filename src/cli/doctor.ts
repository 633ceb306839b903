import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { dirname } from 'node:path'
import { cacheFolder } from '../data/cache-node.ts'
import { packagedDigits } from '../data/digits-node.ts'
import { codeOf } from '../data/files-node.ts'
import { loadSharp } from '../data/image-node.ts'
import { messageOf, UserError } from '../graph/errors.ts'
import { DEVICES } from '../runtime/device.ts'
import { loadNative, thisMachine } from '../runtime/native-node.ts'
import { nodeRuntime } from '../runtime/node.ts'
import { VERSION } from '../version.ts'
import { result, say } from './output.ts'
import type { Verb } from './verb.ts'

interface Found {
  readonly works: boolean
  /** A version or place; where it does not work, why, and what to do. */
  readonly detail: string
}

const attempt = async (work: () => Promise<string>): Promise<Found> => {
  try {
    return { works: true, detail: await work() }
  } catch (error) {
    return { works: false, detail: messageOf(error).replaceAll('\n', ' ') }
  }
}

/** Each device, tried with a model of one node. */
const DEVICE_CHECKS = Object.fromEntries(
  Object.values(DEVICES).map(({ name }) => [
    name,
    async () =>
      `${name === 'wasm' ? 'onnxruntime-web' : 'onnxruntime-node'} ${(await nodeRuntime(name)).version}`,
  ]),
)

/** What else programs need, or are better with. */
const PART_CHECKS = {
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

async function examine(
  checks: Readonly<Record<string, () => Promise<string>>>,
): Promise<Record<string, Found>> {
  const found: Record<string, Found> = {}
  for (const [name, check] of Object.entries(checks)) found[name] = await attempt(check)
  const width = Math.max(...Object.keys(checks).map(name => name.length))
  for (const [name, { works, detail }] of Object.entries(found))
    say(`${works ? '✔' : '✖'} ${name.padEnd(width)}  ${detail}`)
  return found
}

export const doctorVerb: Verb = {
  async handler() {
    const cpu = cpus()[0]?.model.trim() ?? 'unknown CPU'
    const memory = Math.round(totalmem() / 2 ** 30)
    const { platform, arch, musl } = thisMachine()
    const libc = platform === 'linux' ? ` (${musl ? 'musl' : 'glibc'})` : ''
    say(`onnxgrad ${VERSION}, Node ${process.versions.node}, ${platform} ${arch}${libc}`)
    say(`${cpu}, ${availableParallelism()} threads, ${memory} GB memory`)
    say('\nDevices')
    const devices = await examine(DEVICE_CHECKS)
    say('\nParts')
    const parts = await examine(PART_CHECKS)
    result({
      onnxgrad: VERSION,
      node: process.versions.node,
      platform: `${platform} ${arch}`,
      devices,
      parts,
    })
    if (!Object.values(devices).some(({ works }) => works))
      throw new UserError('no device works, so nothing can be trained; install onnxgrad again')
  },
}
