import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { lenet } from '../../models/lenet.ts'
import { vit } from '../../models/vit.ts'
import { parameter } from '../../src/graph/leaf.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { batchNorm2d, conv2d } from '../../src/nn/conv.ts'
import { layer } from '../../src/nn/layer.ts'
import { layerNorm, linear } from '../../src/nn/layers.ts'
import { layoutOf } from '../../src/nn/layout.ts'
import { imageInput, type Model, model } from '../../src/nn/model.ts'
import { add, mul, relu } from '../../src/ops/elementwise.ts'
import { mean } from '../../src/ops/reduce.ts'
import { layerDecay } from '../../src/optim/layer-decay.ts'
import { adamW, sgd } from '../../src/optim/optimizer.ts'
import { matchesName } from '../../src/optim/patterns.ts'

/** Made by scripts/layer-decay.py. */
const timm: { decay: number; models: Record<string, Record<string, number>> } = JSON.parse(
  readFileSync(new URL('../oracles/optim/layer-decay.json', import.meta.url), 'utf8'),
)

/** Each parameter's rate, which exactly one group gives. */
function ratesOf(net: Model, lr: number, decay: number): Record<string, number> {
  const groups = layerDecay(net, { lr, decay })
  const names = layoutOf(net.parameters).slots.filter(s => !s.buffer)
  return Object.fromEntries(
    names.map(({ name }) => {
      const own = groups.filter(g => matchesName(g.match, name))
      expect(own, name).toHaveLength(1)
      return [name, own[0]!.lr!]
    }),
  )
}

const expectRates = (got: Readonly<Record<string, number>>, want: Readonly<Record<string, number>>) => {
  expect(Object.keys(got).sort()).toEqual(Object.keys(want).sort())
  for (const [name, rate] of Object.entries(want)) expect(got[name], name).toBeCloseTo(rate, 12)
}

describe('rates that fall from layer to layer are those of timm', () => {
  test('for vit_tiny, but for the final norm: here it is of the last layer, as in BEiT and MAE', () => {
    const tiny = vit({
      image: 32,
      channels: 3,
      patch: 16,
      dim: 12,
      depth: 12,
      heads: 3,
      mlp: 24,
      classes: 10,
    })
    const want = timm.models.vit_tiny_patch16_224!
    expect([want['norm.weight'], want['norm.bias']]).toEqual([timm.decay, timm.decay])
    expectRates(ratesOf(tiny, 1, timm.decay), { ...want, 'norm.weight': 1, 'norm.bias': 1 })
  })

  test('for resnet18', () => {
    const block = (inputs: number, outputs: number) => {
      const parts = {
        // Declared first, used last.
        ...(inputs === outputs
          ? {}
          : { downsample: [conv2d(inputs, outputs, 1, { stride: 2 }), batchNorm2d(outputs)] as const }),
        conv1: conv2d(inputs, outputs, 3, { stride: inputs === outputs ? 1 : 2, padding: 1 }),
        bn1: batchNorm2d(outputs),
        conv2: conv2d(outputs, outputs, 3, { padding: 1 }),
        bn2: batchNorm2d(outputs),
      }
      return layer(parts, (self, x: AnyTensor): AnyTensor => {
        const short = self.downsample ? self.downsample[1](self.downsample[0](x)) : x
        return relu(add(self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))), short))
      })
    }
    const stage = (inputs: number, outputs: number) => [block(inputs, outputs), block(outputs, outputs)]
    const net = model({
      inputs: { image: imageInput(3, 16) },
      // The order of declaration does not matter.
      layers: {
        fc: linear(16, 10),
        layer4: stage(8, 16),
        layer3: stage(6, 8),
        layer2: stage(4, 6),
        layer1: stage(4, 4),
        bn1: batchNorm2d(4),
        conv1: conv2d(3, 4, 3, { padding: 1 }),
      },
      forward: (self, { image }) => {
        const blocks = [self.layer1, self.layer2, self.layer3, self.layer4].flat()
        const stem: AnyTensor = relu(self.bn1(self.conv1(image)))
        const x = blocks.reduce((x, next) => next(x), stem)
        return { logits: self.fc(mean(x, [2, 3])) }
      },
    })
    const got = ratesOf(net, 1, timm.decay)
    // Its convolutions have no bias.
    const biases = Object.keys(got).filter(name => /(conv\d|downsample\.0)\.bias$/.test(name))
    const bias = biases.map(name => [name, got[name.replace('bias', 'weight')]!])
    expectRates(got, { ...timm.models.resnet18, ...Object.fromEntries(bias) })
  })
})

test('a model without numbered layers has one for each name, in the order of use', () => {
  const rates = ratesOf(lenet({ image: 12, channels: 1, classes: 3 }), 0.1, 0.5)
  expect(Object.entries(rates).filter(([name]) => name.endsWith('weight'))).toEqual([
    ['conv1.weight', 0.1 / 16],
    ['conv2.weight', 0.1 / 8],
    ['fc1.weight', 0.1 / 4],
    ['fc2.weight', 0.1 / 2],
    ['fc3.weight', 0.1],
  ])
})

test('weights are used where they meet what comes from the inputs', () => {
  const scale = parameter([4], { kind: 'constant', value: 1 })
  const net = model({
    inputs: { x: { shape: [4] } },
    layers: { scale, first: linear(4, 4), norm: layerNorm(4) },
    // The scale is the first input of the first operation from the end.
    forward: (self, { x }) => ({ y: mul(mul(self.scale, 2), self.norm(self.first(x))) }),
  })
  expect(layerDecay(net, { lr: 1, decay: 0.5 })).toEqual([
    { match: 'first.*', lr: 0.25 },
    { match: 'norm.*', lr: 0.5 },
    { match: 'scale', lr: 1 },
  ])
})

test('the groups are those of an optimizer, which shows them', () => {
  const net = vit({ image: 8, channels: 1, patch: 4, dim: 8, depth: 2, heads: 2, mlp: 8, classes: 4 })
  const groups = layerDecay(net, { lr: 1e-3, decay: 0.5 })
  expect(groups).toEqual([
    { match: 'patch_embed.*', lr: 1.25e-4 },
    { match: 'cls_token', lr: 1.25e-4 },
    { match: 'pos_embed', lr: 1.25e-4 },
    { match: 'blocks.0.*', lr: 2.5e-4 },
    { match: 'blocks.1.*', lr: 5e-4 },
    { match: 'norm.*', lr: 1e-3 },
    { match: 'head.*', lr: 1e-3 },
  ])
  expect(adamW({ lr: 1e-3, groups }).settings.groups).toEqual(groups)
  expect(() => sgd({ groups: layerDecay(net, { lr: 1, decay: 1 }) })).not.toThrow()
})

test.each([
  [{ lr: 0, decay: 0.5 }, 'layerDecay: lr must be a number above 0, not 0'],
  [{ lr: 1, decay: 0 }, 'layerDecay: decay must be above 0 and at most 1, not 0'],
  [{ lr: 1, decay: 1.1 }, 'layerDecay: decay must be above 0 and at most 1, not 1.1'],
])('rates that make no sense are refused', (options, message) => {
  const net = lenet({ image: 12, channels: 1, classes: 3 })
  expect(() => layerDecay(net, options)).toThrow(message)
})
