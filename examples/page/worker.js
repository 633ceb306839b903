import { vit } from './onnxgrad/models.js'
import { adamW, digits, exportOnnx, imagePredictor, train } from './onnxgrad/web.js'

const data = await digits(new URL('onnxgrad/digits.bin', import.meta.url))
const model = vit({ image: 28, channels: 1, patch: 7, dim: 64, depth: 4, heads: 4, mlp: 128, classes: 10 })
const run = await train(model, {
  data,
  epochs: 1,
  batch: 32,
  optimizer: adamW({ lr: 1e-3 }),
  onStep: progress => postMessage({ progress }),
})

const first = Float32Array.from(data.test.images.subarray(0, 28 * 28), v => v / 255)
const predictor = await imagePredictor(run.model)
const { name } = await predictor.predict(first)
await predictor.close()
const percent = (100 * run.test.accuracy).toFixed(1)
const message = `${percent} % of the held-out digits are right. The first is a ${data.test.labels[0]}: it reads ${name}.`
postMessage({ message, onnx: exportOnnx(run.model) })
