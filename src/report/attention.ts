import { exportOnnx } from '../export/export.ts'
import { lookup, nth } from '../graph/present.ts'
import type { TrainedModel } from '../nn/trained.ts'
import type { Runtime } from '../runtime/session.ts'
import { openPredictor } from '../train/predictor.ts'
import { mixing, rollout, weighted } from './maths.ts'

/** What a model looks at in one image. */
export interface Gaze {
  /** Of each block and head: how much each place gets of the attention of what the head reads; `[side²]`, row by row. */
  readonly heads: readonly (readonly Float32Array[])[]
  /** How much of each place reaches what the head reads, through all blocks (attention rollout); `[side²]`. */
  readonly reaching: Float32Array
}

export interface Attention {
  /** Places along a side of the image. */
  readonly side: number
  /** Whose attention is shown, in words. */
  readonly reader: string
  /** One for each image. */
  readonly gazes: readonly Gaze[]
}

/** How tokens lie in the image, and how much the head reads of each, `[T]`. */
function readingOf(tokens: number, config: object) {
  const places = Number.isInteger(Math.sqrt(tokens)) ? tokens : tokens - 1
  const first = tokens - places
  const pooled = !first || ('pool' in config && config.pool === 'mean')
  const read = Float32Array.from({ length: tokens }, (_, i) =>
    pooled ? (i < first ? 0 : 1 / places) : i ? 0 : 1,
  )
  const reader = pooled ? `the mean of all ${places} places` : 'the CLS token'
  return { side: Math.sqrt(places), first, read, reader }
}

/** Intermediates that hold attention, one of each block. */
const PREFIX = 'attention.'

/**
 * What a model that attends looks at in some images; undefined for others.
 * @param images pixels `[channels, height, width]` in [0, 1] of each
 */
export async function attentionOf(
  runtime: Runtime,
  trained: TrainedModel,
  images: readonly Float32Array[],
): Promise<Attention | undefined> {
  const { model } = trained
  const names = Object.keys(model.intermediates).filter(name => name.startsWith(PREFIX))
  if (!names.length || !images.length) return undefined
  const predictor = await openPredictor(runtime, exportOnnx(trained, { intermediates: `${PREFIX}*` }))
  const pixels = Float32Array.from(images.flatMap(image => [...image]))
  const got = await predictor.run({ image: pixels }).finally(() => predictor.close())
  const blocks = names
    .map(name => lookup(got, name))
    .map(({ data, dims }) => ({ data: Float32Array.from(data, Number), dims }))
  const [, heads = 0, tokens = 0] = nth(blocks, 0).dims
  const { side, first, read, reader } = readingOf(tokens, model.config)
  const square = tokens * tokens
  const gazes = images.map((_, image): Gaze => {
    const maps = blocks.map(({ data }) => data.subarray(image * heads * square, (image + 1) * heads * square))
    const places = (matrix: Float32Array) => weighted(matrix, read).subarray(first)
    return {
      heads: maps.map(map =>
        Array.from({ length: heads }, (_, h) => places(map.subarray(h * square, (h + 1) * square))),
      ),
      reaching: rollout(
        maps.map(map => mixing(map, tokens)),
        read,
      ).subarray(first),
    }
  })
  return { side, reader, gazes }
}
