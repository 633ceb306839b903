import { MODELS } from '../../models/index.ts'
import type { Batch } from '../../src/data/batches.ts'
import { keysOf } from '../../src/graph/keys.ts'
import { lookup } from '../../src/graph/present.ts'
import { rng } from '../../src/graph/random.ts'
import type { Model } from '../../src/nn/model.ts'

/** A model and the batch that it is trained with. */
export interface Workload {
  readonly about: string
  readonly model: () => Model
  readonly batch: number
  /** Steps that are timed by default. */
  readonly steps: number
}

const { vit, lenet, gpt } = MODELS

export const WORKLOADS = {
  lecture: {
    about: "the lecture's ViT",
    model: () => vit.build(vit.presets.lecture),
    batch: 64,
    steps: 300,
  },
  small: {
    about: 'ViT on 49 patches, dim 96, depth 6',
    model: () => vit.build(vit.presets.small),
    batch: 128,
    steps: 40,
  },
  tiny: { about: 'ViT-Ti/16 at 224 px', model: () => vit.build(vit.presets.tiny16), batch: 8, steps: 15 },
  lenet: { about: 'LeNet-5', model: () => lenet.build(lenet.presets.mnist), batch: 64, steps: 300 },
  gpt: {
    about: 'GPT on 64 characters, dim 128, depth 4',
    model: () => gpt.build(gpt.presets.char),
    batch: 64,
    steps: 40,
  },
} as const satisfies Record<string, Workload>
export type WorkloadName = keyof typeof WORKLOADS
export const WORKLOAD_NAMES = keysOf(WORKLOADS)

/** Noise with random labels, one for each image or for each token: as costly as real examples. */
export function noise({ inputs, outputs }: Model, count: number, seed: number): Batch {
  const random = rng(seed)
  const classes = Number(lookup(outputs, 'logits').shape.at(-1))
  const ids = (...dims: number[]) => ({
    data: Int32Array.from({ length: dims.reduce((a, b) => a * b) }, () => random.int(classes)),
    dims,
  })
  if (inputs.tokens) {
    const context = Number(inputs.tokens.shape[0])
    return { tokens: ids(count, context), label: ids(count, context) }
  }
  const dims = [count, ...lookup(inputs, 'image').shape.map(Number)]
  const length = dims.reduce((a, b) => a * b)
  const image = { data: Float32Array.from({ length }, () => random.uniform()), dims }
  return { image, label: ids(count) }
}
