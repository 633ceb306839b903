import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import * as ort from 'onnxruntime-node'
import { beforeAll, expect, test } from 'vitest'
import { gpt, vit } from '../../models/index.ts'
import { decode } from '../../src/export/codec.ts'
import { Model as ModelMessage } from '../../src/export/onnx-proto.ts'
import { type Graph, isLeaf, nodesOf } from '../../src/graph/graph.ts'
import { input } from '../../src/graph/leaf.ts'
import { executionOrder } from '../../src/graph/memory.ts'
import { print } from '../../src/graph/print.ts'
import { hash, rng } from '../../src/graph/random.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import type { Model, PortSpec } from '../../src/nn/model.ts'
import * as ops from '../../src/ops/index.ts'
import { adam } from '../../src/optim/optimizer.ts'
import { recompute } from '../../src/passes/recompute.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { classification } from '../../src/tasks/index.ts'
import { plansOf } from '../../src/train/plans.ts'
import { type BatchProgram, compileStep } from '../../src/train/step/step.ts'
import { Trainer } from '../../src/train/trainer.ts'
import type { SingleStep } from '../../src/train/trainer-options.ts'

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

const BATCH = 6
const image = vit({
  image: 8,
  channels: 1,
  patch: 2,
  dim: 16,
  depth: 3,
  heads: 2,
  mlp: 48,
  classes: 4,
  dropout: 0.2,
})
const text = gpt({ vocabulary: 11, context: 8, dim: 16, depth: 3, heads: 2, mlp: 48 })

function step(model: Model, recompute: boolean): BatchProgram {
  const { plans } = plansOf(model, { task: classification() })
  return compileStep(plans[0]!, { sizes: { batch: BATCH }, target: cpu.device.target, recompute })
}

/** Names of a program's nodes in the order in which onnxruntime's profiler saw them run, as they are written. */
async function profiled({ bytes, graph }: BatchProgram): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'onnxgrad-'))
  try {
    const session = await ort.InferenceSession.create(bytes, {
      graphOptimizationLevel: 'disabled',
      enableProfiling: true,
      profileFilePrefix: join(folder, 'profile'),
    })
    const feeds = Object.entries(graph.inputs).map(([name, { dtype, shape }]) => {
      const size = (shape as number[]).reduce((a, b) => a * b, 1)
      const data = dtype === 'int32' ? new Int32Array(size) : new Float32Array(size)
      return [name, new ort.Tensor(dtype as 'float32', data as Float32Array, shape as number[])]
    })
    await session.run(Object.fromEntries(feeds))
    session.endProfiling()
    await session.release()
    const [file] = await readdir(folder)
    const events = JSON.parse(await readFile(join(folder, file!), 'utf8')) as { name: string; ts: number }[]
    const suffix = '_kernel_time'
    return events
      .filter(e => e.name.endsWith(suffix))
      .sort((a, b) => a.ts - b.ts)
      .map(e => e.name.slice(0, -suffix.length))
  } finally {
    await rm(folder, { recursive: true })
  }
}

test.each([
  ['image', false],
  ['image', true],
  ['text', true],
] as const)('memory is planned for the order in which nodes run: %s, recompute %s', async (what, again) => {
  const program = step(what === 'image' ? image : text, again)
  const written = nodesOf(program.graph).filter(node => !isLeaf(node))
  const file = decode(ModelMessage, program.bytes, 'step').graph?.node ?? []
  const own = file.flatMap(({ name = '' }) => (/^shape\/|\/Identity$/.test(name) ? [] : [name]))
  expect(own.length).toBe(written.length)
  const names = new Map(written.map((node, i) => [node, own[i]!]))
  const planned = executionOrder(program.graph).map(node => names.get(node)!)
  expect((await profiled(program)).filter(name => own.includes(name))).toEqual(planned)
})

/** Parameters after some steps. */
async function trained(model: Model, again: boolean): Promise<Float32Array> {
  const options = { seed: 1, optimizer: adam({ lr: 1e-2 }), recompute: again }
  const run = new Trainer<SingleStep>(cpu, model, { task: classification(), ...options })
  const random = rng(7)
  const [[name, { dtype, shape }]] = Object.entries(model.inputs) as [[string, PortSpec]]
  const size = (shape as readonly number[]).reduce((a, b) => a * b, BATCH)
  const tokens = dtype === 'int32'
  for (let i = 1; i <= 4; i++) {
    const label = Int32Array.from({ length: tokens ? size : BATCH }, () => random.int(4))
    const input = tokens ? label.map(k => 3 - k) : Float32Array.from({ length: size }, () => random.uniform())
    await run.step({ [name]: input, label })
  }
  const { params } = (await run.state()).vectors
  await run.close()
  return params!
}

test.each([
  ['image', image],
  ['text', text],
] as const)('training is the same bit for bit when activations are computed again: %s', async (_, model) => {
  expect(nodesOf(step(model, true).graph).length).toBeGreaterThan(nodesOf(step(model, false).graph).length)
  expect(await trained(model, true)).toEqual(await trained(model, false))
})

const ACTIVATIONS: readonly ((x: AnyTensor, y: AnyTensor) => AnyTensor)[] = [
  x => ops.gelu(x),
  x => ops.gelu(x, 'tanh'),
  x => ops.silu(x),
  x => ops.relu(x),
  x => ops.elu(x),
  x => ops.softplus(x),
  x => ops.softmax(x),
  (x, y) => ops.mul(ops.tanh(x), ops.sigmoid(y)),
  (x, y) => ops.add(x, ops.div(y, ops.add(ops.mul(y, y), 1))),
  (x, y) => ops.sub(ops.exp(ops.neg(ops.mul(x, x))), ops.mean(y, 0, true)),
]

/** A network of random activations, some of which read a layer further back, with the gradients of its weights. */
function network(name: string, choices: readonly number[]): { graph: Graph; weights: number } {
  const shape = (rows: number) => [rows, 8] as const
  const x: AnyTensor = input(`${name}/x`, 'float32', shape(24))
  const weights = choices.map((_, i) => input(`${name}/w${i}`, 'float32', shape(8)) as AnyTensor)
  const made = [x]
  for (const [i, choice] of choices.entries()) {
    const z = ops.matmul(made.at(-1)!, weights[i]!)
    made.push(ACTIVATIONS[choice % 10]!(z, made[Math.floor(choice / 10) % made.length]!))
  }
  const gradients = ops.grad(ops.sum(ops.tanh(made.at(-1)!)), weights)
  const inputs = Object.fromEntries([x, ...weights].map(t => [t.node.attrs.name as string, t]))
  const outputs = Object.fromEntries(gradients.map((t, i) => [`${name}/d${i}`, t]))
  return { graph: { inputs, parameters: {}, outputs }, weights: weights.length }
}

test('random networks keep their gradients bit for bit', async () => {
  let changed = 0
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(999), { minLength: 3, maxLength: 9 }), async choices => {
      const { graph, weights } = network('n', choices)
      const smaller = recompute(graph)
      if (smaller !== graph) changed++
      const feeds = Object.entries(graph.inputs).map(([name, { shape }]) => {
        const random = rng(hash('feed', name))
        return [name, Array.from({ length: (shape as number[])[0]! * 8 }, () => random.normal() / 2)] as const
      })
      const run = (g: Graph) => evaluate(cpu, g.outputs, Object.fromEntries(feeds))
      const [want, got] = [await run(graph), await run(smaller)]
      for (let i = 0; i < weights; i++)
        expect(got[`n/d${i}`]!.data, print(smaller)).toEqual(want[`n/d${i}`]!.data)
    }),
    { numRuns: 40, endOnFailure: true },
  )
  expect(changed).toBeGreaterThan(20)
})
