import { beforeAll, describe, expect, test } from 'vitest'
import { gpt, vit } from '../../models/index.ts'
import { parameter } from '../../src/graph/leaf.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { layer } from '../../src/nn/layer.ts'
import { linear } from '../../src/nn/layers.ts'
import { initialize, layoutOf, views } from '../../src/nn/layout.ts'
import { imageInput, type Model, model } from '../../src/nn/model.ts'
import { normalized } from '../../src/nn/normalize.ts'
import { add, log, mul, sqrt, sub } from '../../src/ops/elementwise.ts'
import { reshape } from '../../src/ops/layout.ts'
import { SEED_SIZE, seedValues } from '../../src/ops/random.ts'
import { sgd } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { classification, type Task } from '../../src/tasks/index.ts'
import { type Diagnosis, describeDiagnosis, diagnose } from '../../src/train/diagnose/diagnose.ts'
import { examplesOf, portsOf } from '../../src/train/examples.ts'
import { plansOf } from '../../src/train/plans.ts'
import { compileStep } from '../../src/train/step/step.ts'

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

const small = { image: 8, channels: 1, patch: 4, dim: 16, depth: 2, heads: 2, mlp: 24, classes: 4 }
const COUNT = 4
const images = (): Float32Array => Float32Array.from({ length: COUNT * 64 }, (_, i) => (i % 17) / 17)

interface Case {
  /** Changes the initial parameters. */
  readonly spoil?: (value: (name: string) => Float32Array) => void
  readonly input?: Float32Array | Int32Array
  readonly label?: Int32Array
}

async function diagnosis(
  net: Model,
  { spoil, input = images(), label = Int32Array.of(0, 1, 2, 3) }: Case,
  findNode = true,
): Promise<Diagnosis> {
  const layout = layoutOf(net.parameters)
  const params = initialize(layout, 1)
  const byName = views(layout, params)
  spoil?.(name => byName.get(name)!)
  const [name] = Object.keys(net.inputs) as [string]
  return diagnoseStep(net, classification(), params, { [name]: input, label }, 1, { seed: 1, findNode })
}

function diagnoseStep(
  net: Model,
  task: Task,
  params: Float32Array,
  batch: Readonly<Record<string, Float32Array | Int32Array>>,
  step: number,
  options: Parameters<typeof diagnose>[5],
): Promise<Diagnosis> {
  const plans = plansOf(net, { task })
  const examples = examplesOf('batch', portsOf(task.trace(net)), batch, false)
  return diagnose(plans, cpu, { params }, [examples], step, options)
}

const names = ({ bad }: Diagnosis, kind: string) => bad.filter(b => b.kind === kind).map(b => b.name)

/** A classifier of 8 × 8 images: what `head` makes of a linear layer's outputs. */
const withHead = (head: (x: AnyTensor, shift: AnyTensor) => AnyTensor): Model =>
  model({
    name: 'test',
    inputs: { image: imageInput(1, 8) },
    layers: {
      fc: linear(64, 4),
      head: layer({ shift: parameter([4], { kind: 'constant', value: 0 }) }, (self, x: AnyTensor) =>
        head(x, self.shift),
      ),
    },
    forward: ({ fc, head: last }, { image }) => ({ logits: last(fc(reshape(image, ['batch', 64]))) }),
  })
const normed = (net: Model, std = 0.25): Model => normalized(net, 'image', { mean: [0.5], std: [std] })

describe('a step that goes wrong', () => {
  test('in a product that overflows is told by the layer whose product it is', async () => {
    const found = await diagnosis(normed(vit({ ...small, dropout: 0.1 })), {
      spoil: value => value('blocks.1.mlp.fc1.weight').fill(3e38),
    })
    expect(names(found, 'input')).toEqual([])
    expect(names(found, 'parameter')).toEqual([])
    expect(names(found, 'output')).toEqual(['logits', 'loss'])
    expect(names(found, 'gradient')).toContain('blocks.0.attn.qkv.weight')
    expect(found.first).toMatchObject({ part: 'model', layer: 'blocks.1.mlp.fc1', op: 'MatMul' })
    expect(found.first!.operands.some(o => o.most > 2.9e38)).toBe(true)
    expect(found.first!.nan + found.first!.infinite).toBeGreaterThan(0)
  })

  test('in a logarithm of zero is told by the layer that took it, with what it read', async () => {
    const found = await diagnosis(
      withHead((x, shift) => log(add(mul(x, x), shift))),
      {
        spoil: value => {
          value('fc.weight').fill(0)
          value('fc.bias').set([1, 2, 3, 0])
        },
      },
    )
    expect(found.first).toEqual({
      op: 'Log',
      shape: [COUNT, 4],
      part: 'model',
      layer: 'head',
      operands: [{ least: 0, most: 9 }],
      size: 16,
      nan: 0,
      infinite: COUNT,
    })
    expect(describeDiagnosis(found)).toMatch(
      /^the step computed: logits has 4 infinite of 16, loss is (NaN|infinite); gradients: .*; it began at Log \[4,4\] of head, fed with 0 … 9$/,
    )
  })

  test('in the gradient alone is told by what the gradient is taken of', async () => {
    const found = await diagnosis(
      withHead((x, shift) => add(sqrt(mul(x, 0)), shift)),
      {},
    )
    expect(names(found, 'output')).toEqual([])
    expect(names(found, 'gradient')).toEqual(['fc.weight', 'fc.bias'])
    expect(found.first).toMatchObject({ part: 'gradient', layer: 'head', op: 'Div' })
    expect(describeDiagnosis(found)).toMatch(/it began at Div \[4,4\] of the gradient of head, fed with/)
  })

  test('for its data is told by the first example that is bad, and no node is blamed', async () => {
    const input = images()
    input[2 * 64 + 5] = Number.NaN
    input[3 * 64] = Number.POSITIVE_INFINITY
    const found = await diagnosis(normed(vit(small)), { input })
    expect(found.bad[0]).toEqual({
      kind: 'input',
      name: 'image',
      size: COUNT * 64,
      nan: 1,
      infinite: 1,
      example: 2,
    })
    expect(found.first).toBeUndefined()
    expect(describeDiagnosis(found)).toMatch(
      /^the batch of data is bad: image has 1 NaN and 1 infinite of 256 \(first in example 2\); the step computed: logits/,
    )
  })

  test('for a parameter that was bad before is told by its name', async () => {
    const found = await diagnosis(vit(small), {
      spoil: value => value('blocks.0.norm1.bias').fill(Number.NaN, 3, 5),
    })
    expect(found.bad[0]).toEqual({
      kind: 'parameter',
      name: 'blocks.0.norm1.bias',
      size: 16,
      nan: 2,
      infinite: 0,
    })
    expect(found.first).toBeUndefined()
  })

  test('for a standard deviation of zero is told by the operands', async () => {
    const found = await diagnosis(normed(vit(small), 0), {})
    expect(found.first).toMatchObject({ part: 'model', layer: '', op: 'Div' })
    expect(found.first!.operands[1]).toEqual({ least: 0, most: 0 })
    expect(describeDiagnosis(found)).toMatch(
      /it began at Div \[4,1,8,8\] of the model, fed with -0\.5 … 0\.\d+ and 0$/,
    )
  })

  test("is not blamed on a mask's infinities", async () => {
    const config = { vocabulary: 8, context: 4, dim: 16, depth: 1, heads: 2, mlp: 16 }
    const found = await diagnosis(gpt(config), {
      spoil: value => value('blocks.0.mlp.fc2.weight').fill(3e38),
      input: new Int32Array(COUNT * 4).map((_, i) => i % 8),
      label: new Int32Array(COUNT * 4).map((_, i) => (i + 1) % 8),
    })
    expect(found.first).toMatchObject({ part: 'model', layer: 'blocks.0.mlp.fc2' })
  })
})

test('where everything is finite, the largest gradient is named', async () => {
  const head = withHead((x, shift) => mul(sub(x, shift), 1e30))
  const found = await diagnosis(head, { spoil: value => value('fc.weight').fill(0) })
  expect(found.bad).toEqual([])
  expect(found.largest).toMatchObject({ name: 'fc.weight' })
  expect(found.largest!.value).toBeGreaterThan(1e28)
  expect(describeDiagnosis(found)).toMatch(
    /loss and gradients are finite; the largest gradient is [\d.]+e\+\d+, of fc\.weight$/,
  )
})

test('it is the step that trained which is computed again: dropout, smoothing, mixed labels and all', async () => {
  const net = normed(vit({ ...small, dropout: 0.3 }))
  const layout = layoutOf(net.parameters)
  const params = initialize(layout, 1)
  const task = classification({ targets: 'mixed', labelSmoothing: 0.1 })
  const batch = {
    image: images(),
    label: Int32Array.of(0, 1, 2, 3),
    mixedLabel: Int32Array.of(3, 3, 1, 1),
    mixedShare: Float32Array.of(0.25, 1, 0.5, 0),
  }
  const { largest } = await diagnoseStep(net, task, params, batch, 7, { seed: 5, findNode: false })

  const { target } = cpu.device
  const { plans } = plansOf(net, { task, optimizer: sgd() })
  const program = compileStep(plans[0]!, { sizes: { batch: COUNT }, target, keepGradient: true })
  const step = await cpu.load(program.bytes, { optimize: 'basic' })
  const { gradient } = await step.run({
    image: cpu.tensor('float32', batch.image, [COUNT, 1, 8, 8]),
    label: cpu.tensor('int32', batch.label, [COUNT]),
    mixedLabel: cpu.tensor('int32', batch.mixedLabel, [COUNT]),
    mixedShare: cpu.tensor('float32', batch.mixedShare, [COUNT]),
    'state.params': cpu.tensor('float32', params, [layout.size]),
    'scalar.seed': cpu.tensor('float32', Float32Array.from(seedValues(5, 7)), [SEED_SIZE]),
    'scalar.lr': cpu.tensor('float32', Float32Array.of(0.1), []),
  })
  const sizes = [...views(layout, gradient!.data as Float32Array)].map(
    ([name, g]) => [name, Math.max(...g.map(Math.abs))] as const,
  )
  const [name, value] = sizes.reduce((a, b) => (b[1] > a[1] ? b : a))
  expect(largest).toEqual({ name, value: expect.closeTo(value, 5) })
  await step.close()
})

test('intermediate results are looked at only when the node is asked for', async () => {
  const found = await diagnosis(
    vit(small),
    { spoil: value => value('blocks.1.mlp.fc1.weight').fill(3e38) },
    false,
  )
  expect(found.first).toBeUndefined()
  expect(names(found, 'output')).toEqual(['logits', 'loss'])
})
