import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { COLLECTIONS } from '../../src/data/collections.ts'
import { subset } from '../../src/data/dataset.ts'
import { loadMnist } from '../../src/data/mnist-node.ts'
import { readOnnx } from '../../src/export/read.ts'
import { restarted, withParameters } from '../../src/finetune/edit.ts'
import { imageClassifier, replaceHead } from '../../src/finetune/index.ts'
import { parameterAttrs } from '../../src/graph/leaf.ts'
import { lookup } from '../../src/graph/present.ts'
import type { Model } from '../../src/nn/model.ts'
import { adam } from '../../src/optim/optimizer.ts'
import { cosine } from '../../src/optim/schedule.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { classification } from '../../src/tasks/index.ts'
import { fit as train } from '../../src/train/fit.ts'

let runtime: Runtime
beforeAll(async () => {
  runtime = await nodeRuntime('cpu')
})
afterAll(() => runtime.close())

/** The same network with random weights, as PyTorch initializes it. */
function anew(net: Model): Model {
  const fanIn = (name: string) =>
    parameterAttrs(lookup(net.parameters, name.replace('.bias', '.weight')))
      .shape.slice(1)
      .reduce((a, b) => a * b, 1)
  return withParameters(
    net,
    new Map(
      [...net.parameters].map(([name, p]) => [
        name,
        restarted(p, { kind: 'uniform', bound: 1 / Math.sqrt(fanIn(name)) }),
      ]),
    ),
  )
}

// Debian's package has them where no download is possible.
test.skipIf(!existsSync(COLLECTIONS['fashion-mnist'].idx.system ?? ''))(
  'a network that PyTorch trained on MNIST learns Fashion-MNIST faster than one with random weights',
  async () => {
    const path = fileURLToPath(new URL('./torch/mnist.onnx.gz', import.meta.url))
    const info = readOnnx(Uint8Array.from(gunzipSync(readFileSync(path))), 'mnist.onnx')
    const start = replaceHead(imageClassifier(info, 'mnist.onnx').model, 10)
    const source = await loadMnist({ data: 'fashion-mnist' })
    const accuracy = async (net: Model, seed: number) => {
      const run = await train(runtime, net, {
        task: classification(),
        data: { train: subset(source.train, 3000), test: source.test },
        epochs: 2,
        optimizer: adam({ lr: 2e-3 }),
        schedule: cosine(),
        seed,
      })
      return Number(run.test?.accuracy)
    }
    for (const seed of [0, 1]) {
      const [tuned, scratch] = [await accuracy(start, seed), await accuracy(anew(start), seed)]
      expect(tuned).toBeGreaterThan(scratch + 0.015)
    }
  },
)
