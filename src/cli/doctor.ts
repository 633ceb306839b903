import { availableParallelism, cpus, totalmem } from 'node:os'
import { attempt, DEVICE_CHECKS, type Found, PART_CHECKS } from '../deploy/doctor-node.ts'
import { UserError } from '../graph/errors.ts'
import { thisMachine } from '../runtime/native-node.ts'
import { result, say } from '../terminal/output.ts'
import { VERSION } from '../version.ts'
import type { Verb } from './verb.ts'

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
