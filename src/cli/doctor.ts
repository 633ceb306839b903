import { availableParallelism, cpus, totalmem } from 'node:os'
import type { CommandModule } from 'yargs'
import { DEVICES } from '../runtime/device.ts'
import { nodeRuntime } from '../runtime/node.ts'
import { VERSION } from '../version.ts'
import { result, say } from './output.ts'

interface Found {
  readonly device: string
  readonly works: boolean
  readonly detail: string
}

/** Tries each device with a model of one node. */
async function examine(): Promise<Found[]> {
  const found: Found[] = []
  for (const { name } of Object.values(DEVICES))
    try {
      const { version } = await nodeRuntime(name)
      found.push({
        device: name,
        works: true,
        detail: `${name === 'wasm' ? 'onnxruntime-web' : 'onnxruntime-node'} ${version}`,
      })
    } catch (error) {
      found.push({ device: name, works: false, detail: (error as Error).message })
    }
  return found
}

export const doctorVerb: CommandModule = {
  command: 'doctor',
  describe: 'Which devices work on this machine, and how to get the others',
  async handler() {
    const cpu = cpus()[0]?.model.trim() ?? 'unknown CPU'
    const memory = Math.round(totalmem() / 2 ** 30)
    say(`onnxgrad ${VERSION}, Node ${process.versions.node}, ${process.platform} ${process.arch}`)
    say(`${cpu}, ${availableParallelism()} threads, ${memory} GB memory\n`)
    const found = await examine()
    for (const f of found) say(`${f.works ? '✔' : '✖'} ${f.device.padEnd(8)} ${f.detail}`)
    result({
      onnxgrad: VERSION,
      node: process.versions.node,
      platform: `${process.platform} ${process.arch}`,
      devices: Object.fromEntries(found.map(({ device, ...rest }) => [device, rest])),
    })
  },
}
