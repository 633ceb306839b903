import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lenet } from '../../models/index.ts'
import { augmentation } from '../../src/data/augment.ts'
import type { ImageDataset } from '../../src/data/dataset.ts'
import { pad } from '../../src/data/pad.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { parameter } from '../../src/graph/leaf.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { assign, buffer } from '../../src/nn/buffer.ts'
import { linear } from '../../src/nn/layers.ts'
import { type Model, model } from '../../src/nn/model.ts'
import { encoderBlock } from '../../src/nn/transformer.ts'
import * as ops from '../../src/ops/index.ts'
import { sum } from '../../src/ops/reduce.ts'
import { cosine } from '../../src/optim/schedule.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import {
  average,
  classification,
  crossEntropy,
  mse,
  multiLabel,
  regression,
  task,
} from '../../src/tasks/index.ts'
import { fit as learn } from '../../src/train/fit.ts'
import type { FitOptions } from '../../src/train/fit-options.ts'
import { openPredictor } from '../../src/train/predictor.ts'
import { Trainer } from '../../src/train/trainer.ts'

// Programs that cannot work. Each is answered by one error at its own line, before the first step.

let cpu: Runtime
let runs = 0
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})
afterAll(() => cpu.close())

const x = Array.from({ length: 8 }, (_, i) => [i / 8, 1 - i / 8])
const y = x.map(([a]) => [a!])
const label = x.map((_, i) => i % 3)
const net = (outputs = 1) =>
  model({
    inputs: { x: { shape: [2] } },
    layers: { fc: linear(2, outputs) },
    forward: (self, { x }) => ({ y: self.fc(x) }),
  })
const classifier = (classes = 3) =>
  model({
    inputs: { x: { shape: [2] } },
    layers: { fc: linear(2, classes) },
    forward: (self, { x }) => ({ logits: self.fc(x) }),
  })
const wide = (x: unknown): AnyTensor => x as AnyTensor
const train = (m: Model, options: Omit<FitOptions, 'epochs'>) =>
  learn(cpu, m, {
    epochs: 1,
    batch: 4,
    ...options,
    onStep: () => {
      runs++
    },
  })
const images = (change: Partial<ImageDataset> = {}): ImageDataset => ({
  name: 'dots',
  size: 4,
  shape: [1, 12, 12],
  classes: ['a', 'b'],
  images: new Uint8Array(4 * 144),
  labels: Uint8Array.of(0, 1, 0, 1),
  ...change,
})
const lenet2 = () => lenet({ image: 12, channels: 1, classes: 2 })
const numbers = (at: number, value: number) => x.map((row, i) => (i === at ? [row[0]!, value] : row))
const fits = { task: regression(), data: { x, y } }
const labels = { task: classification(), data: { x, label } }

interface Wrong {
  readonly wrong: () => unknown
  readonly says: RegExp
  /** The same without the fault. */
  readonly right: () => unknown
}

const PROGRAMS: Readonly<Record<string, Wrong>> = {
  'shapes that do not fit in forward': {
    wrong: () =>
      model({
        inputs: { x: { shape: [3] } },
        layers: { fc: linear(2, 1) },
        forward: (s, { x }) => ({ y: s.fc(wide(x)) }),
      }),
    says: /linear: inner dims 3 and 2 of \[batch,3\] and weight \[1,2\] differ/,
    right: net,
  },
  'shapes that do not fit inside of a block': {
    wrong: () =>
      model({
        inputs: { x: { shape: [5, 8] } },
        layers: { block: encoderBlock({ dim: 12, heads: 2, mlp: 8 }) },
        forward: (s, { x }) => ({ y: s.block(wide(x)) }),
      }),
    says: /\[batch,5,8\] does not match \[B,T,12\] \(in block\)/,
    right: () =>
      model({
        inputs: { x: { shape: [5, 12] } },
        layers: { block: encoderBlock({ dim: 12, heads: 2, mlp: 8 }) },
        forward: (s, { x }) => ({ y: s.block(wide(x)) }),
      }),
  },
  'a layer made in forward': {
    wrong: () =>
      model({ inputs: { x: { shape: [2] } }, layers: {}, forward: (_, { x }) => ({ y: linear(2, 1)(x) }) }),
    says: /created inside forward; create it once and list it in the model's layers/,
    right: net,
  },
  'a parameter that is not listed': {
    wrong: () => {
      const stray = parameter([2], { kind: 'constant', value: 1 })
      return model({
        inputs: { x: { shape: [2] } },
        layers: {},
        forward: (_, { x }) => ({ y: ops.mul(x, stray) }),
      })
    },
    says: /a parameter of \[2\] that is not among the model's layers/,
    right: () => {
      const own = parameter([2], { kind: 'constant', value: 1 })
      return model({
        inputs: { x: { shape: [2] } },
        layers: { own },
        forward: (_, { x }) => ({ y: ops.mul(x, own) }),
      })
    },
  },
  'no outputs': {
    wrong: () => model({ inputs: { x: { shape: [2] } }, layers: {}, forward: () => ({}) }),
    says: /forward must return its outputs by name/,
    right: net,
  },
  'a name of the training step': {
    wrong: () =>
      model({ inputs: { 'state.x': { shape: [2] } }, layers: {}, forward: (_, i) => ({ y: i['state.x'] }) }),
    says: /state\.x cannot be the name of an input/,
    right: () =>
      model({ inputs: { stated: { shape: [2] } }, layers: {}, forward: (_, i) => ({ y: i.stated }) }),
  },
  'a value for what is not a buffer': {
    wrong: () => {
      const w = parameter([2], { kind: 'constant', value: 1 })
      return model({
        inputs: { x: { shape: [2] } },
        layers: { w },
        forward: (_, { x }) => {
          assign(w, sum(x, 0))
          return { y: x }
        },
      })
    },
    says: /assign: only a buffer can be assigned/,
    right: () => {
      const w = buffer([2])
      return model({
        inputs: { x: { shape: [2] } },
        layers: { w },
        forward: (_, { x }) => {
          assign(w, sum(x, 0))
          return { y: x }
        },
      })
    },
  },
  'a model called with another shape': {
    wrong: () => {
      const inner = net()
      return model({
        inputs: { z: { shape: [3] } },
        layers: { inner },
        forward: (s, { z }) => s.inner({ x: wide(z) }),
      })
    },
    says: /model: input x: takes \[batch,2\], not \[batch,3\]/,
    right: () => {
      const inner = net()
      return model({
        inputs: { z: { shape: [2] } },
        layers: { inner },
        forward: (s, { z }) => s.inner({ x: z }),
      })
    },
  },
  'a loss that would broadcast': {
    wrong: () =>
      task(net(), { targets: { t: { shape: [] } }, loss: ({ out, target }) => mse(out.y, target.t) }),
    says: /mse: target \[batch\] differs from \[batch,1\]/,
    right: () =>
      task(net(), { targets: { t: { shape: [1] } }, loss: ({ out, target }) => mse(out.y, target.t) }),
  },
  'a loss that is not a scalar': {
    wrong: () => task(net(), { loss: ({ out }) => out.y }),
    says: /the loss: is float32 \[batch,1\]; it must be a float32 scalar/,
    right: () => task(net(), { loss: ({ out }) => average(out.y) }),
  },
  'weights of another shape': {
    wrong: () =>
      task(net(), { targets: { w: { shape: [] } }, loss: ({ out, target }) => average(out.y, target.w) }),
    says: /average: weights \[batch\] differ from the values \[batch,1\]/,
    right: () =>
      task(net(), { targets: { w: { shape: [1] } }, loss: ({ out, target }) => average(out.y, target.w) }),
  },
  'a target with the name of an input': {
    wrong: () =>
      task(net(), { targets: { x: { shape: [1] } }, loss: ({ out, target }) => mse(out.y, target.x) }),
    says: /x names an input of the model and a target/,
    right: () =>
      task(net(), { targets: { z: { shape: [1] } }, loss: ({ out, target }) => mse(out.y, target.z) }),
  },
  'a regularizer of data': {
    wrong: () =>
      task(net(), { loss: ({ out }) => average(out.y), regularizer: () => sum(wide(shared.outputs.y)) }),
    says: /the regularizer reads x; it may read parameters only/,
    right: () =>
      task(net(), { loss: ({ out }) => average(out.y), regularizer: ({ self }) => sum(self.fc.weight) }),
  },
  'labels for a loss of another rank': {
    wrong: () =>
      task(classifier(), {
        targets: { l: { shape: [1], dtype: 'int32' } },
        loss: ({ out, target }) => crossEntropy(out.logits, target.l),
      }),
    says: /crossEntropy: target \[batch,1\] does not fit logits \[batch,3\]/,
    right: () =>
      task(classifier(), {
        targets: { l: { shape: [], dtype: 'int32' } },
        loss: ({ out, target }) => crossEntropy(out.logits, target.l),
      }),
  },
  'several outputs and no word which': {
    wrong: () => {
      const two = model({
        inputs: { x: { shape: [2] } },
        layers: { a: linear(2, 1) },
        forward: (s, { x }) => ({ p: s.a(x), q: s.a(x) }),
      })
      return train(two, { task: regression(), data: { x, p: y } })
    },
    says: /regression: model has several outputs p, q; name one/,
    right: () => {
      const two = model({
        inputs: { x: { shape: [2] } },
        layers: { a: linear(2, 1) },
        forward: (s, { x }) => ({ p: s.a(x), q: s.a(x) }),
      })
      return train(two, { task: regression({ output: 'p' }), data: { x, p: y } })
    },
  },
  'a task that the model has no output for': {
    wrong: () => train(net(), { task: multiLabel({ output: 'logits' }), data: { x, labels: y } }),
    says: /multiLabel: model has no output logits; it has y/,
    right: () => train(net(), { task: multiLabel({ output: 'y' }), data: { x, labels: y } }),
  },
  'a label outside of the classes': {
    wrong: () =>
      train(classifier(), { ...labels, data: { x, label: label.map((l, i) => (i === 5 ? 3 : l)) } }),
    says: /data: label: value 0 of example 5 is 3; it must be 0 … 2/,
    right: () => train(classifier(), labels),
  },
  'a negative label': {
    wrong: () =>
      train(classifier(), { ...labels, data: { x, label: label.map((l, i) => (i === 2 ? -1 : l)) } }),
    says: /value 0 of example 2 is -1/,
    right: () => train(classifier(), labels),
  },
  'a label that is not whole': {
    wrong: () => train(classifier(), { ...labels, data: { x, label: label.map(l => l + 0.5) } }),
    says: /label: value 0 is 0\.5, which is not int32/,
    right: () => train(classifier(), labels),
  },
  'a value that is not a number': {
    wrong: () => train(net(), { ...fits, data: { x: numbers(3, Number.NaN), y } }),
    says: /data: x: value 1 of example 3 is NaN; it must be a finite number/,
    right: () => train(net(), fits),
  },
  'an infinite value': {
    wrong: () =>
      train(net(), { ...fits, data: { x, y: y.map((v, i) => (i === 6 ? [Number.POSITIVE_INFINITY] : v)) } }),
    says: /data: y: value 0 of example 6 is Infinity/,
    right: () => train(net(), fits),
  },
  'an array of another type': {
    wrong: () => train(net(), { ...fits, data: { x: new Float64Array(16), y } }),
    says: /data: x: is Float64Array; expected float32 \(Float32Array\): convert it/,
    right: () => train(net(), { ...fits, data: { x: new Float32Array(16), y } }),
  },
  'too few values': {
    wrong: () => train(net(), { ...fits, data: { x: new Float32Array(15), y } }),
    says: /data: x: has 15 values; .* needs a multiple of 2/,
    right: () => train(net(), { ...fits, data: { x: new Float32Array(16), y } }),
  },
  'arrays of different numbers of examples': {
    wrong: () => train(net(), { ...fits, data: { x, y: y.slice(1) } }),
    says: /x has 8 examples, but y has 7; the counts must be equal/,
    right: () => train(net(), fits),
  },
  'an array that is missing': {
    wrong: () => train(net(), { ...fits, data: { x } }),
    says: /data: has no y, only x/,
    right: () => train(net(), fits),
  },
  'rows of different lengths': {
    wrong: () => train(net(), { ...fits, data: { x: x.map((row, i) => (i === 4 ? [1] : row)), y } }),
    says: /x\[4\] has 1 values, but the previous ones have 2/,
    right: () => train(net(), fits),
  },
  'no examples': {
    wrong: () => train(net(), { ...fits, data: { x: [], y: [] } }),
    says: /data: has 0 examples; at least one is needed/,
    right: () => train(net(), fits),
  },
  'an empty test set': {
    wrong: () => train(net(), { ...fits, data: { train: { x, y }, test: { x: [], y: [] } } }),
    says: /test: has 0 examples/,
    right: () => train(net(), { ...fits, data: { train: { x, y }, test: { x, y } } }),
  },
  'images of another size': {
    wrong: () =>
      train(lenet({ image: 16, channels: 1, classes: 2 }), { task: classification(), data: images() }),
    says: /dots: image holds examples of \[1,12,12\], but lenet takes \[1,16,16\]/,
    right: () => train(lenet2(), { task: classification(), data: images() }),
  },
  'more outputs than classes': {
    wrong: () =>
      train(lenet({ image: 12, channels: 1, classes: 3 }), { task: classification(), data: images() }),
    says: /dots: has 2 classes, but lenet has 3; build the model with the same number/,
    right: () => train(lenet2(), { task: classification(), data: images() }),
  },
  'fewer bytes than images': {
    wrong: () => train(lenet2(), { task: classification(), data: images({ images: new Uint8Array(500) }) }),
    says: /4 images of 1×12×12 take 576 bytes, but there are 500/,
    right: () => train(lenet2(), { task: classification(), data: images() }),
  },
  'a label of an image that has no class': {
    wrong: () =>
      train(lenet2(), { task: classification(), data: images({ labels: Uint8Array.of(0, 1, 2, 1) }) }),
    says: /the label of image 2 is 2; it must be 0 … 1/,
    right: () => train(lenet2(), { task: classification(), data: images() }),
  },
  'images for a model that reads something else': {
    wrong: () => train(net(), { task: regression(), data: images() }),
    says: /dots: has image, label, but model reads x; rename the input or the array/,
    right: () => train(net(), fits),
  },
  'images that are mixed for a task of one label': {
    wrong: () =>
      train(lenet2(), {
        task: classification(),
        data: images(),
        augment: augmentation({ mixup: 0.4 }),
      }),
    says: /augment: mixup and cutmix also mix the labels, which classification does not support/,
    right: () =>
      train(lenet2(), {
        task: classification({ targets: 'mixed' }),
        data: images(),
        augment: augmentation({ mixup: 0.4 }),
      }),
  },
  'a task of mixed labels where nothing mixes them': {
    wrong: () => train(lenet2(), { task: classification({ targets: 'mixed' }), data: images() }),
    says: /classification: needs mixed labels; set mixup or cutmix in augment/,
    right: () =>
      train(lenet2(), {
        task: classification({ targets: 'mixed' }),
        data: images(),
        augment: augmentation({ cutmix: 1, flip: true }),
      }),
  },
  'patience without a validation set': {
    wrong: () => train(net(), { ...fits, patience: 2 }),
    says: /patience needs a validation set/,
    right: () => train(net(), { ...fits, data: { train: { x, y }, val: { x, y } }, patience: 2 }),
  },
  'a metric that nobody measures': {
    wrong: () => train(net(), { ...fits, monitor: 'accuracy' }),
    says: /monitor: accuracy is not measured; choose one of loss, mae/,
    right: () => train(net(), { ...fits, monitor: 'mae' }),
  },
  'a schedule over nobody knows how many steps': {
    wrong: () => train(net(), { ...fits, data: () => [{ x, y }], schedule: cosine() }),
    says: /does not say how many examples it has: give stepsPerEpoch/,
    right: () => train(net(), { ...fits, data: () => [{ x, y }], schedule: cosine(), stepsPerEpoch: 1 }),
  },
  'nothing left to train': {
    wrong: () => train(net(), { ...fits, freeze: 'fc.*' }),
    says: /no parameter is trained: all of them are frozen/,
    right: () => train(net(), { ...fits, freeze: 'fc.bias' }),
  },
  'a pattern without a parameter': {
    wrong: () => train(net(), { ...fits, freeze: /^head/ }),
    says: /freeze: no parameter matches \/\^head\/; their names are like fc\.weight, fc\.bias/,
    right: () => train(net(), { ...fits, freeze: /bias/ }),
  },
  'weights of another model': {
    wrong: () => train(net(), { ...fits, weights: { 'head.weight': [1, 2] } }),
    says: /weights: the model has no parameter head\.weight/,
    right: () => train(net(), { ...fits, weights: { 'fc.weight': [1, 2] } }),
  },
  'a sequence longer than its bucket': {
    wrong: () => pad({ tokens: [[1, 2, 3], [1]] }, { T: [2] }),
    says: /example 0 has length 3, but the longest bucket is 2/,
    right: () => pad({ tokens: [[1, 2, 3], [1]] }, { T: [4] }),
  },
  'a step without its name': {
    wrong: () => new Trainer(cpu, net(), { steps: { a: { task: regression() } } }).step({ x, y } as never),
    says: /name the step; they are a/,
    right: () => new Trainer(cpu, net(), { steps: { a: { task: regression() } } }).step('a', { x, y }),
  },
  'inputs that do not fit a predictor': {
    wrong: async () => (await openPredictor(cpu, net())).run({ x: [[1, 2, 3]] }),
    says: /the model: x: takes \[batch,2\], not \[1,3\]/,
    right: async () => (await openPredictor(cpu, net())).run({ x: [[1, 2]] }),
  },
  'an opset that there is not': {
    wrong: () => exportOnnx(net(), { opset: 16 }),
    says: /opset 16 is not supported; choose 17 to 24/,
    right: () => exportOnnx(net(), { opset: 24 }),
  },
}
const shared = net()

test('there are 32 of them, and more', () => expect(Object.keys(PROGRAMS).length).toBeGreaterThanOrEqual(32))

describe.each(Object.entries(PROGRAMS))('%s', (_, { wrong, right, says }) => {
  test('is one error at the line of the program, before the first step', async () => {
    const before = runs
    const error = await Promise.resolve()
      .then(wrong)
      .then(
        () => undefined,
        (e: unknown) => e as Error,
      )
    expect(error?.message).toMatch(says)
    expect(error?.message).not.toContain('\n')
    expect(['UserError', 'ShapeError']).toContain(error?.name)
    const [frame] = error!.stack!.split('\n').filter(line => /:\d+:\d+\)?$/.test(line))
    expect(frame).toContain('wrong-programs.test.ts')
    expect(runs).toBe(before)
  })

  test('works without the fault', async () => {
    await right()
  })
})

test('a stream that gives fewer examples than it promises is noticed', async () => {
  const few = { name: 'few', size: 64, batches: () => [{ x, y }] }
  await expect(train(net(), { task: regression(), data: few })).rejects.toThrow(
    /few: yielded 8 of the 64 examples/,
  )
  const batches = () => Array.from({ length: 8 }, () => ({ x, y }))
  await train(net(), { task: regression(), data: { name: 'enough', size: 64, batches }, batch: 8 })
})

test('a value of a stream that is not a number is named by batch and example', async () => {
  const stream = () => [
    { x, y },
    { x: numbers(3, Number.NaN), y },
  ]
  await expect(train(net(), { task: regression(), data: stream })).rejects.toThrow(
    /data, batch 2: x: value 1 of example 3 is NaN/,
  )
})
