// A program that Node and pages run alike, but for the last word of its import. It prints what it came to as JSON.

export const ONE_PROGRAM = `
import {
  adamW, cosine, evaluate, exportOnnx, l1, linear, loadOnnx, model, mse, ops, predictor, task, train, trainer,
} from 'onnxgrad/node'

/** Points of a surface that are the same each time. */
const points = (count, from) => {
  const x = Array.from({ length: count }, (_, i) => [Math.sin(7 * (i + from)), Math.cos(3 * (i + from))])
  return { x, y: x.map(([a, b]) => [a * b + 0.5 * a]) }
}
const net = model({
  name: 'surface',
  inputs: { x: { shape: [2] } },
  layers: { a: linear(2, 16), b: linear(16, 1) },
  forward: (self, { x }) => ({ y: self.b(ops.tanh(self.a(x))) }),
})
const surface = task(net, {
  targets: { y: { shape: [1] } },
  loss: ({ out, target }) => mse(out.y, target.y),
  metrics: { mae: ({ out, target }) => l1(out.y, target.y) },
})
const losses = []
const test = points(40, 1000)
const run = await train(net, {
  task: surface,
  data: { train: points(100, 0), test },
  epochs: 30,
  batch: 16,
  accumulate: 2,
  optimizer: adamW({ lr: 2e-2 }),
  schedule: cosine(),
  seed: 5,
  onStep: ({ last }) => void losses.push(last.loss),
})
const onnx = exportOnnx(run.model)
const answers = async source => {
  const p = await predictor(source)
  const { y } = await p.run({ x: test.x })
  await p.close()
  return [...y.data]
}
const outputs = await answers(run.model)
const fromFile = await answers(onnx)
const judged = await evaluate(run.model, { task: surface, data: test })
const loaded = await answers(loadOnnx(onnx, 'surface.onnx'))

// The loop in one's own hands, resumed in between.
const options = { task: surface, optimizer: adamW({ lr: 1e-2 }), seed: 6 }
const first = await trainer(net, options)
const own = [await first.step(points(20, 0)), await first.step([points(12, 20), points(7, 40)])]
const checkpoint = await first.checkpoint()
await first.close()
const second = await trainer(net, { ...options, resume: checkpoint })
second.lr = 5e-3
own.push(await second.step(points(20, 0)))
const { steps } = second
await second.close()
console.log(JSON.stringify({ losses, epochs: run.epochs.map(e => e.train.loss), test: run.test, outputs, fromFile, loaded, judged, own, steps }))
`
