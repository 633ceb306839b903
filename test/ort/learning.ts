import { expect, test } from 'vitest'
import { subset } from '../../src/data/dataset.ts'
import { placesOf } from '../../src/deploy/proof/places-node.ts'
import { prove } from '../../src/deploy/proof/prove.ts'
import { trainingPredictor } from '../../src/deploy/reference.ts'
import { exportOnnx } from '../../src/export/export.ts'
import type { Model } from '../../src/nn/model.ts'
import { adam } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { classification } from '../../src/tasks/index.ts'
import { fit as learn } from '../../src/train/fit.ts'
import { realDigits } from '../data/files.ts'

/** Trains models on a few digits: each comes to its accuracy, and its file answers the same in every runtime. */
export const testLearning = (
  ...models: readonly (readonly [name: string, model: Model, accuracy: number])[]
) =>
  test.each(models)(
    '%s learns from real digits, and its file gives the same numbers on every runtime',
    async (_, model, accuracy) => {
      const digits = await realDigits()
      const [train, held] = [subset(digits.train, 1200), subset(digits.test, 200)]
      const data = { ...digits, train, test: held }
      const cpu = await nodeRuntime('cpu')
      const options = { task: classification(), data, epochs: 2, batch: 32, optimizer: adam({ lr: 2e-3 }) }
      const run = await learn(cpu, model, options)
      const [first, last] = [run.epochs[0]!, run.epochs.at(-1)!]
      expect(last.train.loss).toBeLessThan(first.train.loss)
      expect(run.test!.accuracy).toBeGreaterThan(accuracy)
      expect(run.model.params).toEqual(run.state.vectors.params)
      const reference = { name: 'training', runner: trainingPredictor(cpu, run.model) }
      const file = { bytes: exportOnnx(run.model), name: 'model.onnx' }
      const proof = await prove(file, reference, held, placesOf(['cpu', 'wasm']), { seconds: 0 })
      expect(proof.failures).toEqual([])
    },
  )
