// A denoising autoencoder on digits: it reads a noisy image and learns to output the clean one.
//
//   npx tsx examples/autoencoder.ts [denoise.onnx]

import { adam, linear, mnist, model, mse, ops, rng, save, task, train } from 'onnxgrad/node'

const PIXELS = 28 * 28

/** Images in [0, 1], and the same images with Gaussian noise. */
function noisyImages(images: Uint8Array, seed: number) {
  const random = rng(seed)
  const clean = Float32Array.from(images, v => v / 255)
  return { clean, noisy: clean.map(v => v + 0.5 * random.normal()) }
}

const net = model({
  name: 'denoise',
  inputs: { noisy: { shape: [1, 28, 28] } },
  layers: {
    encode: linear(PIXELS, 128),
    code: linear(128, 32),
    decode: linear(32, 128),
    out: linear(128, PIXELS),
  },
  forward: (self, { noisy }) => {
    const code = self.code(ops.relu(self.encode(ops.reshape(noisy, [noisy.shape[0], PIXELS])))) // [B, 32]
    const clean = ops.sigmoid(self.out(ops.relu(self.decode(code)))) // [B, 784]
    return { clean: ops.reshape(clean, noisy.shape), code }
  },
})

const denoising = task(net, {
  targets: { clean: { shape: [1, 28, 28] } },
  loss: ({ out, target }) => mse(out.clean, target.clean),
  // What the loss would be if the model returned its input.
  metrics: { noise: ({ input, target }) => mse(input.noisy, target.clean) },
})

const digits = await mnist({ data: 'digits' }) // the 10,000 digits bundled with onnxgrad
const run = await train(net, {
  task: denoising,
  data: { train: noisyImages(digits.train.images, 1), test: noisyImages(digits.test.images, 2) },
  epochs: 4,
  optimizer: adam({ lr: 2e-3 }),
  onEpoch: e =>
    console.log(`epoch ${e.epoch}: loss ${e.train.loss.toFixed(4)}, test ${e.test?.loss.toFixed(4)}`),
})
if (process.argv[2]) await save(run.model, process.argv[2])
console.log(`mean squared error ${run.test?.noise?.toFixed(4)} → ${run.test?.loss.toFixed(4)}`)
