import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run, written } from '../../scripts/import-suite/again.ts'
import { compareWeightGradients } from '../../scripts/import-suite/gradients.ts'
import type { Values } from '../../scripts/import-suite/reference.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { readOnnx } from '../../src/export/read.ts'
import { readSafetensors } from '../../src/export/safetensors.ts'
import { importOnnx } from '../../src/import/import.ts'
import { loadOnnx } from '../../src/import/load.ts'
import { initialized } from '../../src/nn/trained.ts'
import { adamW } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { regression } from '../../src/tasks/index.ts'
import { Trainer } from '../../src/train/trainer.ts'
import type { SingleStep } from '../../src/train/trainer-options.ts'
import { fileOf, int, node, port, values } from '../ort/foreign.ts'

// Files that scripts/torch-references.py wrote, with what PyTorch computes of them.

const FOLDER = fileURLToPath(new URL('./torch/', import.meta.url))
const ENDING = '.bin.gz'
const names = readdirSync(FOLDER)
  .filter(file => file.endsWith(ENDING))
  .map(file => file.slice(0, -ENDING.length))
  .sort()
/** Those that were written for one example take any number once their batch is freed. */
const fixed = names.filter(name => name.endsWith('-one'))

const TOLERANCE = 1e-4

function fixture(name: string) {
  const file = `${FOLDER}${name}${ENDING}`
  const { tensors } = readSafetensors(gunzipSync(readFileSync(file)), file)
  const of = (kind: string): Values =>
    Object.fromEntries(
      Object.entries(tensors)
        .filter(([key]) => key.startsWith(`${kind}.`))
        .map(([key, { dtype, shape, data }]) => [key.slice(kind.length + 1), { dtype, dims: shape, data }]),
    )
  const bytes = Uint8Array.from(tensors.onnx!.data as Uint8Array)
  return { bytes, inputs: of('in'), outputs: of('out'), gradients: of('grad') }
}

/** The largest difference of each output, relative to its largest element; as text where another shape is given. */
function differences(got: Values, want: Values) {
  return Object.entries(want).map(([name, { dims, data }]) => {
    const own = got[name]
    if (own?.dims.join() !== dims.join()) return `${name}: [${own?.dims.join()}], not [${dims.join()}]`
    const wanted = Array.from(data, Number)
    const apart = wanted.map((v, i) => Math.abs(Number(own.data[i]) - v))
    return Math.max(...apart) / Math.max(...wanted.map(Math.abs))
  })
}

/** Outputs that are not as they should be. */
const wrong = (got: Values, want: Values) =>
  differences(got, want).filter(d => typeof d === 'string' || !(d <= TOLERANCE))

let runtime: Runtime
beforeAll(async () => {
  runtime = await nodeRuntime('cpu')
})
afterAll(() => runtime.close())

test('there are files of both exporters, and of a batch of one', () => {
  const kinds = names.map(name => name.replace(/^.*\./, ''))
  for (const kind of ['legacy', 'unfused', 'dynamo', 'legacy-one', 'dynamo-one'])
    expect(kinds).toContain(kind)
})

describe('what is read of a file of PyTorch', () => {
  test.each(names.filter(name => !fixed.includes(name)))(
    'computes what PyTorch does, and its gradients: %s',
    async name => {
      const { bytes, inputs, outputs, gradients } = fixture(name)
      const info = readOnnx(bytes, name)
      const imported = importOnnx(info, name)
      expect(imported.kept).toEqual([])
      expect(wrong(await run(runtime, written(imported, info), inputs), outputs)).toEqual([])
      const { fault, weights } = await compareWeightGradients(runtime, imported, inputs, gradients)
      expect(fault).toBeUndefined()
      expect(weights).toBe(Object.keys(gradients).length)
      expect(weights).toBeGreaterThan(0)
    },
  )
})

describe('a file that was written for one example', () => {
  test.each(fixed)('takes any number of them with freeBatch: %s', async name => {
    const { bytes, inputs, outputs } = fixture(name)
    const model = loadOnnx(bytes, name, { freeBatch: true })
    expect(wrong(await run(runtime, exportOnnx(model), inputs), outputs)).toEqual([])
  })

  test('is refused where it looks an example up by its place', () => {
    const taken = (axis: number) =>
      fileOf({
        input: [port('x', [1, 3])],
        output: [port('y', [1, 3])],
        initializer: [values('place', 'int64', [1], [0])],
        node: [node('Gather', ['x', 'place'], 'y', 'take', [int('axis', axis)])],
      })
    const load = (axis: number) => loadOnnx(taken(axis), 'x.onnx', { freeBatch: true })
    expect(() => load(-2)).toThrow('node take (Gather): looks values up by the place of the one example')
    expect(load(1).outputs.y?.shape).toEqual(['batch', 1])
  })
})

test.each(['resnet.unfused', 'vit.dynamo', 'lstm.legacy'])(
  'a loaded model learns, is written and read again: %s',
  async name => {
    const { bytes, inputs, outputs } = fixture(name)
    const net = loadOnnx(bytes, name)
    const t = new Trainer<SingleStep>(runtime, net, {
      task: regression(),
      optimizer: adamW({ lr: 1e-4 }),
      threads: 1,
    })
    const y = outputs.y!
    // What it is to learn: half of what it gives.
    const wanted = Float32Array.from(y.data as Float32Array, v => v / 2)
    const batch = { x: inputs.x!, y: { data: wanted, dims: y.dims } }
    const losses: number[] = []
    for (let step = 0; step < 3; step++) losses.push((await t.step(batch)).loss)
    expect(losses[1]!).toBeLessThan(losses[0]!)
    expect(losses[2]!).toBeLessThan(losses[1]!)

    const trained = await t.trained()
    await t.close()
    expect(trained.params).not.toEqual(initialized(net).params)
    const saved = exportOnnx(trained)
    const again = loadOnnx(saved, 'again.onnx')
    expect([...again.parameters.keys()].sort()).toEqual([...net.parameters.keys()].sort())
    expect(wrong(await run(runtime, exportOnnx(again), inputs), await run(runtime, saved, inputs))).toEqual(
      [],
    )
  },
)
