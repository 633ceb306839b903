// A GAN in the plane: the generator learns to place points on a circle. Two tasks on one state, an optimizer for each.
//
//   npx tsx examples/gan.ts [circle.onnx]

import { adam, bceWithLogits, layer, linear, model, ops, rng, save, task, trainer } from 'onnxgrad/node'

const BATCH = 128
const random = rng(1)

const mlp = (inputs: number, outputs: number) =>
  layer({ a: linear(inputs, 64), b: linear(64, 64), c: linear(64, outputs) }, ['B', inputs], (self, x) =>
    self.c(ops.leakyRelu(self.b(ops.leakyRelu(self.a(x), 0.2)), 0.2)),
  )

// The model is the generator; only the losses use the discriminator `d`, and it is not exported.
const net = model({
  name: 'gan',
  inputs: { noise: { shape: [4] } },
  layers: { g: mlp(4, 2), d: mlp(2, 1) },
  forward: (self, { noise }) => ({ point: self.g(noise) }),
})

const discriminate = task(net, {
  targets: { real: { shape: [2] } },
  loss: ({ self, out, target }) => {
    const [real, fake] = [self.d(target.real), self.d(out.point)]
    return ops.add(bceWithLogits(real, ops.onesLike(real)), bceWithLogits(fake, ops.zerosLike(fake)))
  },
})
const generate = task(net, {
  loss: ({ self, out }) => {
    const fake = self.d(out.point)
    return bceWithLogits(fake, ops.onesLike(fake))
  },
})

const noise = () => Array.from({ length: BATCH }, () => Array.from({ length: 4 }, random.normal))
const circle = () =>
  Array.from({ length: BATCH }, () => {
    const angle = 2 * Math.PI * random.uniform()
    return [Math.cos(angle), Math.sin(angle)]
  })

const optimizer = adam({ lr: 1e-3, betas: [0.5, 0.9] })
await using gan = await trainer(net, {
  steps: {
    d: { task: discriminate, train: 'd.*', optimizer },
    g: { task: generate, train: 'g.*', optimizer, ema: 0.99 }, // a moving average of the weights is the result
  },
})
for (let step = 1; step <= 1200; step++) {
  const d = await gan.step('d', { noise: noise(), real: circle() })
  const g = await gan.step('g', { noise: noise() })
  if (step % 300 === 0) console.log(`step ${step}: losses ${d.loss.toFixed(3)}, ${g.loss.toFixed(3)}`)
}
if (process.argv[2]) await save(await gan.trained(), process.argv[2])
const { point } = await gan.predict({ noise: noise() })
const radius = (i: number) => Math.hypot(Number(point?.data[2 * i]), Number(point?.data[2 * i + 1]))
const errors = Array.from({ length: BATCH }, (_, i) => Math.abs(radius(i) - 1))
console.log(`mean distance from the circle: ${(errors.reduce((a, b) => a + b) / BATCH).toFixed(3)}`)
