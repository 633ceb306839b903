// Runs each .onnx file of a folder on the onnxruntime-web or onnxruntime-node of another folder's node_modules, in a process of its own:
// node run.mjs FOLDER PACKAGE WITH_NODE_MODULES. Prints by name the first output, or what the runtime said, as JSON.
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'

const [folder = '', name = '', at = ''] = process.argv.slice(2)
const require = createRequire(join(resolve(at), 'package.json'))
const ort = require(name)
if (name === 'onnxruntime-web') {
  ort.env.wasm.numThreads = 1
  // Node's fetch reads no files, which older builds load their WASM with.
  const dist = join(require.resolve(name), '..')
  globalThis.fetch = async url =>
    new Response(readFileSync(String(url).replace('file://', '')), {
      headers: { 'content-type': 'application/wasm' },
    })
  if (!readdirSync(dist).some(file => file.endsWith('.mjs'))) ort.env.wasm.wasmPaths = `${dist}/`
}
const { dims, data } = JSON.parse(readFileSync(join(folder, 'input.json'), 'utf8'))
/** @type {Record<string, number[] | string>} */
const results = {}
for (const file of readdirSync(folder).filter(file => file.endsWith('.onnx'))) {
  try {
    const options = { executionProviders: [name === 'onnxruntime-web' ? 'wasm' : 'cpu'], logSeverityLevel: 4 }
    const session = await ort.InferenceSession.create(readFileSync(join(folder, file)), options)
    const image = new ort.Tensor('float32', Float32Array.from(data), dims)
    const got = await session.run({ image })
    results[file] = Array.from(got.logits.data, Number)
  } catch (error) {
    results[file] = error instanceof Error ? error.message : String(error)
  }
}
console.log(JSON.stringify(results))
process.exit(0)
