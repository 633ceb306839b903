import { MODELS } from '../../models/index.ts'
import { rng } from '../../src/graph/random.ts'
import type { Model } from '../../src/nn/model.ts'
import type { StepInput } from '../../src/train/executor.ts'

/** A model and the batch that it is trained with. */
export interface Workload {
  readonly about: string
  readonly model: () => Model
  readonly batch: number
  /** Steps that are timed by default. */
  readonly steps: number
}

const { build, presets } = MODELS.vit

export const WORKLOADS: Readonly<Record<string, Workload>> = {
  lecture: { about: "the lecture's ViT", model: () => build(presets.lecture!), batch: 64, steps: 400 },
  small: {
    about: 'ViT on 49 patches, dim 96, depth 6',
    model: () => build(presets.small!),
    batch: 128,
    steps: 60,
  },
  tiny: { about: 'ViT-Ti/16 at 224 px', model: () => build(presets.tiny16!), batch: 8, steps: 15 },
}

/** Images of noise with random labels: as costly as real ones. */
export function noise(model: Model, count: number, seed: number): StepInput {
  const random = rng(seed)
  const pixels = model.input.shape.reduce((a, b) => a * b, count)
  return {
    input: Float32Array.from({ length: pixels }, () => random.uniform()),
    label: Int32Array.from({ length: count }, () => random.int(model.classes)),
    count,
  }
}
