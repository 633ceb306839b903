import { afterAll, beforeAll, expect, test } from 'vitest'
import { subset } from '../../src/data/dataset.ts'
import { loadMnist } from '../../src/data/mnist-node.ts'
import type { Model } from '../../src/nn/model.ts'
import { adam } from '../../src/optim/optimizer.ts'
import { cosine } from '../../src/optim/schedule.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { classification } from '../../src/tasks/index.ts'
import { fit as train } from '../../src/train/fit.ts'
import { anew, hasFashion, mnistNetwork } from './transfer.ts'

let runtime: Runtime
beforeAll(async () => {
  runtime = await nodeRuntime('cpu')
})
afterAll(() => runtime.close())

test.skipIf(!hasFashion)(
  'a network that PyTorch trained on MNIST learns Fashion-MNIST faster than one with random weights',
  async () => {
    const start = mnistNetwork()
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
      console.log(`seed ${seed}: ${tuned} against ${scratch}`)
      expect(tuned).toBeGreaterThan(scratch + 0.015)
    }
  },
)
