import * as ort from 'onnxruntime-node'
import { lower } from '../../src/export/lower.ts'
import { isFloat } from '../../src/graph/dtype.ts'
import type { Tensors } from '../../src/graph/graph.ts'
import { vjp } from '../../src/ops/index.ts'
import { decompose } from '../../src/passes/decompose.ts'
import { evaluate, graphOf } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { allCases, type Feeds, normalLike } from '../ort/samples.ts'

// A program of its own, because Vulkan's loader reads the environment when the process starts.
// Computes every sample of every op, and its gradients, on WebGPU and on the CPU. Prints as JSON for each tensor how far
// the two are apart, relative to the largest element (at least 1), and which samples WebGPU leaves to the CPU.

/** Samples that one session computes. */
const CHUNK = 25

const feeds: Feeds = {}
const cases = allCases('float32', feeds).map(c => {
  const { outputs } = c.apply(c.inputs)
  const gradients =
    'none' in c.op.vjp
      ? []
      : outputs.flatMap((y, k) => {
          if (!isFloat(y.dtype)) return []
          const name = `${c.name}/gy${k}`
          return vjp(y, normalLike(y, name, feeds), c.inputs).filter(dx => isFloat(dx.dtype))
        })
  const named = (kind: string, list: readonly unknown[]) => list.map((t, i) => [`${c.name}/${kind}${i}`, t])
  return Object.fromEntries([...named('y', outputs), ...named('dx', gradients)]) as Tensors
})

const [cpu, webgpu] = [await nodeRuntime('cpu'), await nodeRuntime('webgpu')]
const errors: Record<string, number> = {}
for (let i = 0; i < cases.length; i += CHUNK) {
  const outputs = Object.assign({}, ...cases.slice(i, i + CHUNK)) as Tensors
  const want = await evaluate(cpu, outputs, feeds)
  const got = await evaluate(webgpu, outputs, feeds)
  for (const [name, { dtype, dims, data }] of Object.entries(want)) {
    const other = got[name]!
    const values = Array.from(data, Number)
    const scale = Math.max(1, ...values.map(Math.abs))
    const apart = Array.from(other.data, Number).map((v, j) => Math.abs(v - values[j]!) / scale)
    const same = other.dtype === dtype && other.dims.join() === dims.join()
    // JSON has no infinity.
    errors[name] = same && apart.every(Number.isFinite) ? Math.max(0, ...apart) : Number.MAX_VALUE
  }
}

/** Whether all nodes have a kernel on WebGPU; onnxruntime computes the others on the CPU without a word. */
async function runsThere(outputs: Tensors): Promise<boolean> {
  const graph = decompose(graphOf(outputs), webgpu.device.target)
  const options = {
    executionProviders: ['webgpu'],
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 4,
    extra: { session: { disable_cpu_ep_fallback: '1' } },
  } as const
  try {
    const bytes = lower(graph, { name: 'sample', opset: 21 })
    await (await ort.InferenceSession.create(bytes, options)).release()
    return true
  } catch (error) {
    if (/fallback to CPU EP has been explicitly disabled/.test(String(error))) return false
    throw error
  }
}

const left: string[] = []
for (const outputs of cases) {
  if (!(await runsThere(outputs))) left.push(Object.keys(outputs)[0]!.split('/')[0]!)
}
console.log(JSON.stringify({ errors, left: [...new Set(left)] }))
