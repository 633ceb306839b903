// CIFAR-10 with a Compact Convolutional Transformer: augmentation, AdamW, warm-up and cosine, averaged weights, and the
// best epoch by a validation set. The test set is used once, at the end.
//
//   npx tsx scripts/train-cifar10.ts FOLDER [--epochs 20] [--limit 2000] [--threads 1] [--out runs/cifar10]
//
// FOLDER is the binary version (cifar-10-batches-bin) from https://www.cs.toronto.edu/~kriz/cifar.html, or the pictures in
// a folder per class, train/cat/1.png and test/cat/1.png. Ctrl-C stops and keeps the best epoch so far.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { cct } from 'onnxgrad/models'
import {
  adamW,
  augmentation,
  classification,
  cosine,
  images,
  save,
  subset,
  train,
  withValidation,
  withWarmup,
} from 'onnxgrad/node'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    epochs: { type: 'string', default: '20' },
    limit: { type: 'string' },
    threads: { type: 'string' },
    out: { type: 'string', default: 'runs/cifar10' },
  },
})
const [folder] = positionals
if (!folder) {
  console.error(
    'give the folder of CIFAR-10: the unpacked https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',
  )
  process.exit(2)
}
const epochs = Number(values.epochs)
const BATCH = 64

const stop = new AbortController()
process.once('SIGINT', () => {
  console.log('stopping after this step; Ctrl-C again ends at once')
  stop.abort()
})

const source = withValidation(await images({ data: folder, shape: [3, 32, 32], log: console.log }), 0.1)
const some = values.limit ? subset(source.train, Number(values.limit)) : source.train
console.log(`${source.origin}: ${some.size} to train on, ${source.val.size} to validate on`)

// CCT-2/3x2 at half the width: two convolutions make 8 × 8 tokens, two encoder blocks follow.
const [channels, image] = some.shape
const classes = some.classes.length
const model = cct({
  image,
  channels,
  classes,
  kernel: 3,
  planes: [32],
  dim: 64,
  depth: 2,
  heads: 2,
  mlp: 128,
})

const steps = epochs * Math.ceil(some.size / BATCH)
const percent = (share = Number.NaN) => `${(100 * share).toFixed(2)} %`
const run = await train(model, {
  data: { ...source, train: some },
  task: classification({ labelSmoothing: 0.1 }),
  epochs,
  batch: BATCH,
  augment: augmentation({ flip: true, shift: 0.1 }),
  optimizer: adamW({ lr: 2e-3, weightDecay: 0.05 }),
  schedule: withWarmup(cosine(), Math.round(steps / 10)),
  clipNorm: 1,
  ema: 0.998,
  signal: stop.signal,
  ...(values.threads ? { threads: Number(values.threads) } : {}),
  onStep: p => {
    if (p.step % 100 === 0)
      console.log(
        `epoch ${p.epoch}/${epochs}  step ${p.step}/${p.steps}  loss ${p.mean.loss.toFixed(3)}  accuracy ${percent(p.mean.accuracy)}  ${p.examplesPerSecond.toFixed(0)} images/s`,
      )
  },
  onEpoch: (e, _, best) =>
    console.log(
      `epoch ${e.epoch}/${epochs}: validation ${percent(e.val?.accuracy)}${best ? ', the best so far' : ''}`,
    ),
})

const file = join(values.out, 'model.onnx')
await mkdir(values.out, { recursive: true })
await save(run.model, file)
console.log(
  `${file}: ${percent(run.test?.accuracy)} of the test set in ${(run.seconds / 60).toFixed(1)} minutes`,
)
