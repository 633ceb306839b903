import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lenet, vit } from '../../models/index.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { readSafetensors } from '../../src/export/safetensors.ts'
import { withLogits } from '../../src/finetune/head.ts'
import {
  adapterInputs,
  headOf,
  LORA,
  lora,
  mergeLora,
  replaceHead,
  setBatchNorm,
  withDropout,
  writeAdapter,
} from '../../src/finetune/index.ts'
import { rng } from '../../src/graph/random.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { loadOnnx } from '../../src/import/load.ts'
import { batchNorm2d, conv2d } from '../../src/nn/conv.ts'
import { embedding, linear } from '../../src/nn/layers.ts'
import { layoutOf, views } from '../../src/nn/layout.ts'
import { type Model, model } from '../../src/nn/model.ts'
import { initialized, type TrainedModel } from '../../src/nn/trained.ts'
import { add, mul, relu, sigmoid, tanh } from '../../src/ops/elementwise.ts'
import { reshape } from '../../src/ops/layout.ts'
import { linear as linearOp, matmul } from '../../src/ops/matmul.ts'
import { softmax } from '../../src/ops/norm.ts'
import { mean } from '../../src/ops/reduce.ts'
import { adamW, sgd } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { classification, regression } from '../../src/tasks/index.ts'
import { openPredictor } from '../../src/train/predictor.ts'
import { Trainer } from '../../src/train/trainer.ts'
import type { SingleOptions, SingleStep } from '../../src/train/trainer-options.ts'

let runtime: Runtime
beforeAll(async () => {
  runtime = await nodeRuntime('cpu')
})
afterAll(() => runtime.close())

const random = rng('finetune')
const numbers = (...dims: number[]) => ({
  data: Float32Array.from({ length: dims.reduce((a, b) => a * b) }, () => random.normal()),
  dims,
})

const tiny = vit({ image: 8, channels: 1, patch: 4, dim: 16, depth: 2, heads: 2, mlp: 24, classes: 4 })
const small = lenet({ image: 12, channels: 1, classes: 4 })
const pictures = (side: number, count = 5) => ({
  image: numbers(count, 1, side, side),
  label: Int32Array.from({ length: count }, (_, i) => i % 4),
})

async function outputs(source: Model | TrainedModel | Uint8Array, inputs: Record<string, unknown>) {
  const p = await openPredictor(runtime, source)
  try {
    const got = await p.run(inputs as never)
    return Object.fromEntries(
      Object.entries(got).map(([key, { data }]) => [key, [...(data as Float32Array)]]),
    ) as Record<string, number[]>
  } finally {
    await p.close()
  }
}

/** A few steps, whose result has weights that are not the initial ones. */
async function trained(net: Model, batch: object, options: Partial<SingleOptions> = {}, steps = 4) {
  const t = new Trainer<SingleStep>(runtime, net, {
    task: classification(),
    optimizer: adamW({ lr: 0.02 }),
    ...options,
  })
  try {
    for (let i = 0; i < steps; i++) await t.step(batch as never)
    return await t.trained()
  } finally {
    await t.close()
  }
}

const byName = ({ model: m, params }: TrainedModel) => views(layoutOf(m.parameters), params)
const close = (a: readonly number[] | undefined, b: readonly number[] | undefined, within = 1e-5) => {
  expect(a).toHaveLength(b!.length)
  expect(Math.max(...a!.map((v, i) => Math.abs(v - b![i]!)))).toBeLessThanOrEqual(within)
}

describe('replaceHead', () => {
  test('of our models keeps everything but the head, whose size and weights are new', () => {
    const start = initialized(tiny, 5)
    expect(headOf(start)).toEqual({ output: 'logits', classes: 4, parameters: ['head.weight', 'head.bias'] })
    const net = replaceHead(start, 7)
    expect(net.outputs.logits?.shape).toEqual(['batch', 7])
    expect(net.config).toMatchObject({ classes: 7, dim: 16 })
    const [before, after] = [byName(start), byName(initialized(net, 1))]
    expect([...after.keys()]).toEqual([...before.keys()])
    for (const [name, values] of after)
      if (!name.startsWith('head.')) expect(values).toEqual(before.get(name))
    expect(after.get('head.weight')).toHaveLength(7 * 16)
    expect(byName(initialized(net, 2)).get('head.weight')).not.toEqual(after.get('head.weight'))
  })

  test('of files, whose softmax is left out, with a convolution before the pooling too', async () => {
    const conv = model({
      inputs: { x: { shape: [1, 8, 8] } },
      layers: { body: conv2d(1, 6, 3), classifier: conv2d(6, 4, 1) },
      forward: (self, { x }) => ({ p: softmax(mean(relu(self.classifier(relu(self.body(x)))), [2, 3])) }),
    })
    for (const net of [small, conv]) {
      const file = loadOnnx(exportOnnx(net), 'net.onnx')
      const made = replaceHead(file, 3)
      expect(Object.keys(made.outputs)).toEqual(['logits'])
      expect(made.outputs.logits?.shape).toEqual(['batch', 3])
      expect([...made.parameters.keys()]).toEqual([...file.parameters.keys()])
      const x = net === small ? { image: numbers(2, 1, 12, 12) } : { x: numbers(2, 1, 8, 8) }
      expect((await outputs(made, x)).logits).toHaveLength(6)
    }
  })

  test.each([
    ['a softmax that is flattened', (x: AnyTensor) => reshape(softmax(x, 1), [-1, 4])],
    ['a sigmoid', (x: AnyTensor) => sigmoid(reshape(x, [-1, 4]))],
  ])('leaves out %s', async (_, end) => {
    const net = model({
      inputs: { x: { shape: [1, 8, 8] } },
      layers: { body: conv2d(1, 4, 3), classifier: conv2d(4, 4, 1) },
      forward: (self, { x }) => ({ p: end(mean(self.classifier(relu(self.body(x))), [2, 3], true)) }),
    })
    const x = numbers(3, 1, 8, 8)
    const file = loadOnnx(exportOnnx(net), 'net.onnx')
    const own = (await outputs(withLogits(file), { x })).logits!
    const again = model({
      inputs: { x: { shape: [4, 1, 1] } },
      layers: {},
      forward: (_, { x }) => ({ p: end(x) }),
    })
    close(
      (await outputs(again, { x: { data: Float32Array.from(own), dims: [3, 4, 1, 1] } })).p,
      (await outputs(file, { x })).p,
    )
    expect((await outputs(replaceHead(file, 6), { x })).logits).toHaveLength(18)
  })

  test('counts only the classes anew where other dims are as large, and has one logit no trouble', async () => {
    const of = (classes: number) =>
      model({
        inputs: { x: { shape: [1, 4, 4] } },
        layers: { body: conv2d(1, 6, 1), classifier: conv2d(6, classes, 1) },
        forward: (self, { x }) => {
          const maps: AnyTensor = self.classifier(relu(self.body(x)))
          return { y: mean(reshape(maps, [-1, classes, 16]), 2) }
        },
      })
    for (const classes of [4, 1, 16]) {
      const made = replaceHead(loadOnnx(exportOnnx(of(classes)), 'net.onnx'), 3)
      expect(made.outputs.logits?.shape).toEqual(['batch', 3])
      expect((await outputs(made, { x: numbers(2, 1, 4, 4) })).logits).toHaveLength(6)
    }
  })

  test('refuses a model whose outputs are no classes of a last layer', () => {
    const normedEnd = model({
      inputs: { x: { shape: [3, 2, 2] } },
      layers: { a: conv2d(3, 5, 1), bn: batchNorm2d(5) },
      forward: (self, { x }) => ({ y: mean(self.bn(self.a(x)), [2, 3]) }),
    })
    expect(() => replaceHead(setBatchNorm(normedEnd, 'evaluation'), 3)).toThrow(
      'a BatchNormalization comes after it',
    )
    const net = model({
      inputs: { x: { shape: [3] } },
      layers: { a: linear(3, 4), b: linear(4, 6) },
      forward: (self, { x }) => ({ y: mean(self.b(self.a(x)), 1, true) }),
    })
    expect(() => replaceHead(net, 3)).toThrow(/b\.\w+ is \[6/)
    expect(() => replaceHead(tiny, 0)).toThrow('whole number of at least 1, not 0')
  })
})

describe('lora', () => {
  test.each([
    ['linear layers', tiny, 8],
    ['convolutions', small, 12],
  ] as const)(
    'of %s computes the same at first, trains alone, merges, and switches',
    async (_, net, side) => {
      const base = initialized(net, 3)
      const batch = pictures(side)
      const { image } = batch
      const adapted = lora(base, { rank: 2, alpha: 6, dropout: 0.2 })
      close((await outputs(adapted, { image })).logits, (await outputs(base, { image })).logits)
      const head = net === tiny ? /^head\./ : /^fc3\./
      const tuned = await trained(adapted, batch, { train: [LORA, head] })
      const own = byName(base)
      for (const [name, values] of byName(tuned))
        if (own.has(name) && !head.test(name)) expect(values, name).toEqual(own.get(name))
      const answer = (await outputs(tuned, { image })).logits
      expect(answer).not.toEqual((await outputs(base, { image })).logits)
      const merged = mergeLora(tuned)
      expect([...merged.model.parameters.keys()]).toEqual([...net.parameters.keys()])
      close((await outputs(merged, { image })).logits, answer)
      close((await outputs(exportOnnx(merged), { image })).logits, answer)

      const file = exportOnnx(adapterInputs(tuned, { include: head }))
      const { tensors } = readSafetensors(writeAdapter(tuned, { include: head }), 'adapter')
      const adapter = Object.fromEntries(
        Object.entries(tensors).map(([name, { data, shape }]) => [name, { data, dims: shape }]),
      )
      close((await outputs(file, { image, ...adapter })).logits, answer)
      // Another adapter of another rank, in the same file.
      const other = await trained(lora(base, { rank: 3 }), batch, { train: [LORA, head], seed: 9 })
      const second = Object.fromEntries(
        Object.entries(readSafetensors(writeAdapter(other, { include: head }), 'adapter').tensors).map(
          ([name, { data, shape }]) => [name, { data, dims: shape }],
        ),
      )
      close((await outputs(file, { image, ...second })).logits, (await outputs(other, { image })).logits)
    },
  )

  test('of a weight that is read as it is and transposed merges to the same numbers', async () => {
    const square = linear(6, 6)
    const net = model({
      inputs: { image: { shape: [6] } },
      layers: { square, head: linear(6, 4) },
      forward: (self, { image }) => ({
        logits: self.head(tanh(matmul(tanh(self.square(image)), self.square.weight))),
      }),
    })
    const batch = { image: numbers(5, 6), label: Int32Array.from([0, 1, 2, 3, 0]) }
    const tuned = await trained(lora(net, { rank: 2 }), batch, { train: LORA })
    const { image } = batch
    const answer = (await outputs(tuned, { image })).logits
    expect(answer).not.toEqual((await outputs(net, { image })).logits)
    close((await outputs(mergeLora(tuned), { image })).logits, answer)
  })

  test('takes the weights that a pattern names, and none that an embedding shares', () => {
    const names = (m: Model) => [...m.parameters.keys()].filter(name => LORA.test(name))
    expect(names(lora(tiny, { match: '*.qkv.weight' }))).toEqual(
      [0, 1].flatMap(i => ['A', 'B'].map(f => `blocks.${i}.attn.qkv.lora_${f}.weight`)),
    )
    expect(names(lora(tiny)).filter(name => name.startsWith('head'))).toEqual([])
    const tied = model({
      inputs: { ids: { shape: [3], dtype: 'int32' } },
      layers: { wte: embedding(5, 4), fc: linear(4, 4) },
      forward: (self, { ids }) => ({ y: linearOp(self.fc(self.wte(ids)), self.wte.weight) }),
    })
    expect(names(lora(tied))).toEqual(['fc.lora_A.weight', 'fc.lora_B.weight'])
    expect(() => lora(tied, { match: 'wte*' })).toThrow('there are fc.weight')
    expect(() => lora(tiny, { rank: 0 })).toThrow('rank must be')
    expect(() => lora(lora(tiny))).toThrow('has an update already')
    expect(() => mergeLora(initialized(tiny))).toThrow('has no updates')
  })

  test('of a file that reads a joint projection in pieces', async () => {
    const file = loadOnnx(exportOnnx(initialized(tiny, 3)), 'vit.onnx')
    const batch = pictures(8)
    const adapted = lora(file, { rank: 2, match: '*.qkv.weight' })
    expect(adapted.parameters.get('blocks.0.attn.qkv.lora_A.weight')?.shape).toEqual([2, 16])
    const tuned = await trained(adapted, batch, { train: LORA })
    expect(byName(mergeLora(tuned)).get('blocks.0.attn.qkv.weight')).not.toEqual(
      byName(initialized(file)).get('blocks.0.attn.qkv.weight'),
    )
    const { tensors } = readSafetensors(writeAdapter(tuned), 'adapter')
    const adapter = Object.fromEntries(
      Object.entries(tensors).map(([name, { data, shape }]) => [name, { data, dims: shape }]),
    )
    close(
      (await outputs(exportOnnx(adapterInputs(tuned)), { image: batch.image, ...adapter })).logits,
      (await outputs(tuned, { image: batch.image })).logits,
    )
    const { image } = batch
    close((await outputs(mergeLora(tuned), { image })).logits, (await outputs(tuned, { image })).logits)
  })
})

describe('withDropout', () => {
  test('drops before or after layers in training steps alone', async () => {
    const file = loadOnnx(exportOnnx(initialized(tiny, 3)), 'vit.onnx')
    const batch = pictures(8)
    const loss = async (net: Model, seed: number) => {
      const t = new Trainer<SingleStep>(runtime, net, {
        task: classification(),
        seed,
        weights: initialized(file),
      })
      try {
        return (await t.step(batch)).loss
      } finally {
        await t.close()
      }
    }
    const plain = await loss(file, 1)
    expect(await loss(file, 2)).toBeCloseTo(plain, 6)
    for (const place of [{ before: 'head' }, { after: 'blocks.*.mlp' }] as const) {
      const net = withDropout(file, 0.5, place)
      expect(await loss(net, 1)).not.toBeCloseTo(plain, 3)
      expect(await loss(net, 1)).not.toBeCloseTo(await loss(net, 2), 3)
      const { image } = batch
      close((await outputs(net, { image })).logits, (await outputs(file, { image })).logits, 0)
    }
    expect(() => withDropout(file, 0.5, { after: 'fc' })).toThrow('has no layer fc')
  })
})

describe('setBatchNorm', () => {
  const normed = model({
    inputs: { x: { shape: [2, 4, 4] } },
    layers: { conv: conv2d(2, 3, 3), bn: batchNorm2d(3), fc: linear(3, 2) },
    forward: (self, { x }) => ({ y: self.fc(mean(relu(self.bn(self.conv(x))), [2, 3])) }),
  })
  const batch = { x: numbers(6, 2, 4, 4), y: numbers(6, 2) }
  const steps = async (net: Model) => {
    const task = { task: regression(), optimizer: sgd({ lr: 0.1 }) }
    return byName(await trained(net, batch, { ...task, weights: initialized(normed, 4) }, 3))
  }

  test('evaluation mode leaves running statistics, training mode is as batchNorm2d', async () => {
    const own = await steps(normed)
    const still = await steps(setBatchNorm(normed, 'evaluation'))
    expect([...still.get('bn.running_mean')!]).toEqual([0, 0, 0])
    expect(still.get('conv.weight')).not.toEqual(own.get('conv.weight'))
    const again = await steps(setBatchNorm(setBatchNorm(normed, 'evaluation'), 'training'))
    for (const [name, values] of own) close([...again.get(name)!], [...values], 1e-6)
    const file = loadOnnx(exportOnnx(normed), 'net.onnx')
    expect(file.assigned).toEqual({})
    const free = setBatchNorm(file, 'training')
    expect(Object.keys(free.assigned)).toHaveLength(2)
  })

  test('updates the running statistics of a batch norm for each of its uses', async () => {
    const twice = model({
      inputs: { x: { shape: [2, 4, 4] } },
      layers: { bn: batchNorm2d(2), fc: linear(2, 2) },
      forward: (self, { x }) => ({ y: self.fc(mean(add(self.bn(x), self.bn(mul(x, 3))), [2, 3])) }),
    })
    const free = setBatchNorm(setBatchNorm(twice, 'evaluation'), 'training')
    const one = async (net: Model) =>
      byName(await trained(net, batch, { task: regression(), optimizer: sgd({ lr: 0 }) }, 1))
    const means = [0, 1].map(c => {
      const own = batch.x.data.filter((_, i) => Math.floor(i / 16) % 2 === c)
      return own.reduce((a, b) => a + b, 0) / own.length
    })
    const expected = means.map(m => 0.9 * (0.1 * m) + 0.1 * 3 * m)
    close([...(await one(twice)).get('bn.running_mean')!], expected, 1e-6)
    close([...(await one(free)).get('bn.running_mean')!], expected, 1e-6)
  })

  test('refuses a model without running statistics, or a name that none has', () => {
    expect(() => setBatchNorm(tiny, 'training')).toThrow('has no batch norm')
    expect(() => setBatchNorm(normed, 'training', { match: 'x' })).toThrow('their names are like bn.weight')
    expect(() => setBatchNorm(normed, 'training', { match: 'bn.*' })).not.toThrow()
  })
})
