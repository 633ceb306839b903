// Regression on tabular data with two inputs: the price of a house from its features and its location.
//
//   npx tsx examples/regression.ts [price.onnx]

import { adamW, cosine, evaluate, linear, model, ops, regression, rng, save, train } from 'onnxgrad/node'

/** Synthetic houses: size and age, coordinates on a map, and the price, with a little noise. */
function houses(count: number, seed: number) {
  const random = rng(seed)
  const rows = Array.from({ length: count }, () => {
    const [size, age, east, north] = [random.uniform(), random.uniform(), random.uniform(), random.uniform()]
    const centre = Math.exp(-8 * ((east - 0.5) ** 2 + (north - 0.5) ** 2))
    const price = 0.5 + 3 * size * (1 - 0.5 * age) + 2 * centre + 0.02 * random.normal()
    return { features: [size, age], location: [east, north], price: [price] }
  })
  return {
    features: rows.map(r => r.features), // [count, 2]
    location: rows.map(r => r.location), // [count, 2]
    price: rows.map(r => r.price), // [count, 1]
  }
}

const net = model({
  name: 'price',
  inputs: { features: { shape: [2] }, location: { shape: [2] } },
  layers: { features: linear(2, 32), location: linear(2, 32), hidden: linear(64, 32), out: linear(32, 1) },
  forward: (self, { features, location }) => {
    const both = ops.concat([ops.gelu(self.features(features)), ops.gelu(self.location(location))], 1)
    return { price: self.out(ops.gelu(self.hidden(both))) }
  },
})

// The mean squared error between the output `price` and the array `price` of the data.
const task = regression({ output: 'price' })
const test = houses(1000, 2)
const before = await evaluate(net, { task, data: test })
const run = await train(net, {
  task,
  data: { train: houses(4000, 1), test },
  epochs: 25,
  optimizer: adamW({ lr: 1e-2 }),
  schedule: cosine(),
  onEpoch: e =>
    console.log(`epoch ${e.epoch}: loss ${e.train.loss.toFixed(5)}, test MAE ${e.test?.mae?.toFixed(4)}`),
})
if (process.argv[2]) await save(run.model, process.argv[2])
console.log(`test loss ${before.loss.toFixed(3)} → ${run.test?.loss.toFixed(5)}`)
