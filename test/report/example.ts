import { buildModel } from '../../models/index.ts'
import type { DataSource, ImageDataset } from '../../src/data/dataset.ts'
import { rng } from '../../src/graph/random.ts'
import { initialized, type TrainedModel } from '../../src/nn/trained.ts'
import type { RunLog } from '../../src/report/log.ts'

/** A model whose parameters are far from even, though it has learned nothing. */
export function lively(name: string, config: object, classes?: readonly string[]): TrainedModel {
  const model = buildModel(name, config)
  const random = rng(5)
  const params = initialized(model, 1).params.map(v => v + 0.2 * random.normal())
  return { model, params, ...(classes ? { classes } : {}) }
}

/** Images of noise, `size` to be tested on. */
export function noise(
  shape: ImageDataset['shape'],
  classes: readonly string[],
  size: number,
): DataSource & Record<'train' | 'test', ImageDataset> {
  const random = rng(7)
  const pixels = shape.reduce((a, b) => a * b)
  const images = (name: string): ImageDataset => ({
    ...{ name, size, shape, classes },
    images: Uint8Array.from({ length: size * pixels }, () => random.int(256)),
    labels: Uint8Array.from({ length: size }, () => random.int(classes.length)),
  })
  return { train: images('train'), test: images('test'), origin: 'noise' }
}

/** What a run of three epochs might have written down. */
export const LOG: RunLog = {
  epochs: [1, 2, 3].map(epoch => ({
    epoch,
    step: 10 * epoch,
    lr: 1e-3 / epoch,
    trainLoss: 2 / epoch,
    trainAccuracy: 1 - 0.5 / epoch,
    testLoss: 2.1 / epoch,
    testAccuracy: 1 - 0.6 / epoch,
    examplesPerSecond: 1000 + epoch,
    dataWaitShare: 0.01,
    seconds: epoch,
  })),
  steps: Array.from({ length: 30 }, (_, i) => ({
    step: i + 1,
    epoch: Math.floor(i / 10) + 1,
    lr: 1e-3,
    loss: 2 / (i + 1),
    gradNorm: 1 / (i + 1),
  })),
  final: {
    epochs: 3,
    steps: 30,
    seconds: 3.5,
    setupSeconds: 0.3,
    examplesPerSecond: 1002,
    trainAccuracy: 0.83,
  },
  end: 'done',
}
