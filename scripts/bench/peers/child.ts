/** Trains with a JavaScript library as protocol.ts describes: child.ts PEER REQUEST FOLDER, whose node_modules are looked in. */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { ViTConfig } from '../../../models/vit-config.ts'
import { lookup } from '../../../src/graph/present.ts'
import { nodeRuntime } from '../../../src/runtime/node.ts'
import { peakMB, timed } from '../timing.ts'
import { type Jax, trainJax } from './jax-js.ts'
import { trainOnnxgrad } from './onnxgrad.ts'
import type { Request } from './protocol.ts'
import { readStart } from './start.ts'
import { type TensorFlow, trainTfjs } from './tfjs.ts'

interface Trainer {
  readonly version: string
  readonly step: () => Promise<number>
}

const [peer, json, folder] = process.argv.slice(2) as [string, string, string]
const request: Request = JSON.parse(json)
const require = createRequire(join(resolve(folder), 'package.json'))
const start = readStart(readFileSync(request.start))
const config = request.config as ViTConfig

async function tensorflow(name: string, backend: string): Promise<Trainer> {
  const tf: TensorFlow = require(name)
  if (backend === 'wasm') require('@tensorflow/tfjs-backend-wasm')
  tf.enableProdMode()
  await tf.setBackend(backend)
  return { version: tf.version.tfjs, step: trainTfjs(tf, config, request.lr, start) }
}

const TRAINERS: Readonly<Record<string, () => Promise<Trainer>>> = {
  async onnxgrad() {
    const runtime = await nodeRuntime('cpu')
    return { version: runtime.version, step: await trainOnnxgrad(runtime, request, start) }
  },
  tfjs: () => tensorflow('@tensorflow/tfjs', 'wasm'),
  'tfjs-node': () => tensorflow('@tensorflow/tfjs-node', 'tensorflow'),
  async 'jax-js'() {
    const jax: Jax = require('@jax-js/jax')
    await jax.init('wasm')
    const about = join(dirname(require.resolve('@jax-js/jax')), '../package.json')
    const { version }: { version: string } = require(about)
    return { version, step: trainJax(jax, config, request.lr, start) }
  },
}

const say = (message: object): boolean => process.stdout.write(`${JSON.stringify(message)}\n`)
const { version, step } = await lookup(TRAINERS, peer)().catch((error: Error) => {
  console.error(error.message.split('\n')[0])
  process.exit(1)
})
say({ version })
for await (const _ of createInterface({ input: process.stdin })) {
  let loss = Number.NaN
  const ms = await timed(async () => {
    loss = await step()
  })()
  say({ ms, loss, peakMB: peakMB() })
}
process.exit()
