import { buildModel } from '../../../models/index.ts'
import type { ViTConfig } from '../../../models/vit.ts'
import { lower, OPSETS } from '../../../src/export/lower.ts'
import { type FileInfo, readWeights } from '../../../src/export/read.ts'
import { UserError } from '../../../src/graph/errors.ts'
import { type Graph, substitute, type Tensors } from '../../../src/graph/graph.ts'
import { layerEnds } from '../../../src/graph/layers.ts'
import type { Tensor } from '../../../src/graph/tensor.ts'
import { optimizeFor } from '../../../src/passes/index.ts'
import type { OrtTensors, Runtime, Session } from '../../../src/runtime/session.ts'
import { layoutOf, views } from '../../../src/train/layout.ts'
import { servingGraph, type TrainedModel, toOnnx } from '../../../src/train/trained.ts'
import type { Look, Stage } from '../protocol.ts'
import { cosines, cut, softmax } from '../see/maths.ts'

/** A loaded model that shows what it makes of an image. */
export interface Looker {
  /**
   * Runs one image `[channels, height, width]`, pixels in [0, 1]. With `deep`, a ViT adds its attention and its
   * stages: those of {@link Look}, and `embedding [N, dim]`, `positions [N + 1, dim]` and `answers [depth + 1, classes]`, the
   * logits that the head gives for the CLS token before the first block and after each.
   * @throws UserError when the run fails or the logits are not all finite
   */
  look(pixels: Float32Array, deep: boolean): Promise<Look>
  /** Cosine similarity of the position embeddings, `[T, T]`. @throws UserError for a model that is no ViT */
  positions(): Stage
  close(): Promise<void>
}

/**
 * A model of this page.
 * @param name what messages call it
 * @throws UserError when the runtime refuses it
 */
export const openTrained = (runtime: Runtime, trained: TrainedModel, name: string): Promise<Looker> =>
  open(runtime, name, toOnnx(trained), trained.model.input.shape, trained)

/**
 * A classifier of images as the bytes of an `.onnx` file. One that names its architecture (see {@link trainedOf}) can be
 * looked into, of others there are logits only.
 * @param input `[channels, height, width]`
 * @throws UserError when the runtime refuses it
 */
export const openFile = (
  runtime: Runtime,
  file: { readonly name: string; readonly bytes: Uint8Array; readonly info: FileInfo },
  input: readonly number[],
): Promise<Looker> => open(runtime, file.name, file.bytes, input, trainedOf(file.info))

/** The model that a file of onnxgrad was made of; undefined where its metadata and weights do not make one. */
export function trainedOf(info: FileInfo): TrainedModel | undefined {
  if (!info.model) return undefined
  const model = modelOf(info.model)
  if (!model) return undefined
  const layout = layoutOf(model.parameters)
  const weights = readWeights(info)
  const params = new Float32Array(layout.size)
  for (const [name, place] of views(layout, params)) {
    const { data } = weights.get(name) ?? {}
    if (!(data instanceof Float32Array) || data.length !== place.length) return undefined
    place.set(data)
  }
  const { normalization, classes, training } = info
  const about = { ...(normalization && { normalization }), ...(classes && { classes }) }
  return { model, params, ...about, ...(training && { training }) }
}

function modelOf({ name, config }: { readonly name: string; readonly config: object }) {
  try {
    return buildModel(name, config)
  } catch (error) {
    if (error instanceof UserError) return undefined
    throw error
  }
}

async function open(
  runtime: Runtime,
  name: string,
  bytes: Uint8Array,
  input: readonly number[],
  trained: TrainedModel | undefined,
): Promise<Looker> {
  const named = async <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      throw error instanceof UserError ? new UserError(`${name}: ${error.message}`) : error
    })
  const plain = await named(runtime.load(bytes))
  const inside = trained?.model.name === 'vit' ? insideOf(trained) : undefined
  let deepSession: Promise<Session> | undefined
  const run = (session: Session, pixels: Float32Array): Promise<OrtTensors> =>
    named(session.run({ [session.inputs[0]!]: runtime.tensor('float32', pixels, [1, ...input]) }))

  return {
    async look(pixels, deep) {
      const got = await run(plain, pixels)
      const milliseconds = plain.times.end - plain.times.start
      const logits = numbers(got[plain.outputs.includes('logits') ? 'logits' : plain.outputs[0]!])
      if (!logits.every(Number.isFinite))
        throw new UserError(`${name}: its scores are not all numbers; the file is damaged or badly trained`)
      const look = { logits, probabilities: softmax(logits), milliseconds }
      if (!deep || !inside) return look
      deepSession ??= runtime.load(inside.bytes(runtime))
      return { ...look, ...inside.read(await run(await named(deepSession), pixels), pixels) }
    },
    positions() {
      if (!inside) throw new UserError(`${name}: has no position embeddings of patches; a ViT has`)
      return inside.positions
    },
    async close() {
      await plain.close()
      await (await deepSession)?.close()
    },
  }
}

const numbers = (tensor: OrtTensors[string] | undefined): Float32Array => tensor!.data as Float32Array

/** What there is to see inside a ViT. */
function insideOf(trained: TrainedModel) {
  const { model, params } = trained
  const weights = views(layoutOf(model.parameters), params)
  const config = model.config as ViTConfig
  const { dim, depth, heads, patch, classes } = config
  const patches = (config.image / patch) ** 2
  const tokens = patches + 1
  const positions = weights.get('pos_embed')!
  const each = <T>(of: (i: number) => T): T[] => Array.from({ length: depth }, (_, i) => of(i))

  return {
    positions: { name: 'positions', shape: [tokens, tokens], data: cosines(positions, tokens) },
    /** A model whose outputs are all that `read` reads. */
    bytes(runtime: Runtime): Uint8Array {
      const graph = withStages(servingGraph(trained, { attention: true }), depth)
      const purpose = { target: runtime.device.target, dtype: 'float32', training: false } as const
      return lower(optimizeFor(graph, purpose), {
        name: 'inside',
        opset: OPSETS.max,
        weights: name => weights.get(name)!,
      })
    },
    read(got: OrtTensors, pixels: Float32Array): Pick<Look, 'attention' | 'stages'> {
      const stage = (name: string, shape: readonly number[], data = numbers(got[name])): Stage => {
        return { name, shape, data }
      }
      const answers = ['tokens', ...each(i => `blocks.${i}`)].map(place => [
        ...numbers(got[`${place}.answer`]),
      ])
      // Of a ViT that pools the mean there is one vector already.
      const norm = numbers(got.norm).slice(0, dim)
      return {
        attention: each(i => stage(`attention.${i}`, [heads, tokens, tokens])),
        stages: [
          stage('patches', [patches, patch * patch * config.channels], cut(pixels, model.input.shape, patch)),
          stage('embedding', [patches, dim]),
          stage('positions', [tokens, dim], positions),
          stage('tokens', [tokens, dim]),
          ...each(i => stage(`blocks.${i}`, [tokens, dim])),
          stage('norm', [dim], norm),
          stage('answers', [depth + 1, classes], Float32Array.from(answers.flat())),
          stage('logits', [classes]),
        ],
      }
    },
  }
}

/** The graph of a ViT with what its layers return as outputs too, and what its head would make of that. */
function withStages(graph: Graph, depth: number): Graph {
  const ends = layerEnds(graph)
  const last = ends.get(`blocks.${depth - 1}`)!.output
  const places: [string, Tensor][] = [
    ['tokens', ends.get('blocks.0')!.inputs[0]!],
    ...Array.from({ length: depth }, (_, i): [string, Tensor] => {
      return [`blocks.${i}`, ends.get(`blocks.${i}`)!.output]
    }),
  ]
  // The way from the last block to the logits, taken from an earlier one ("logit lens").
  const answer = (from: Tensor): Tensor =>
    substitute({ ...graph, outputs: { logits: graph.outputs.logits! } }, new Map([[last, from]])).logits!
  const outputs: Tensors = {
    ...graph.outputs,
    embedding: ends.get('patch_embed')!.output,
    norm: (ends.get('norm') ?? ends.get('fc_norm'))!.output,
    ...Object.fromEntries(places),
    ...Object.fromEntries(places.map(([name, t]) => [`${name}.answer`, answer(t)])),
  }
  return { ...graph, outputs }
}
