import { buildModel } from '../../../models/index.ts'
import type { ViTConfig } from '../../../models/vit.ts'
import { type FileInfo, readWeights } from '../../../src/export/read.ts'
import { UserError } from '../../../src/graph/errors.ts'
import { type Graph, substitute, type Tensors } from '../../../src/graph/graph.ts'
import { layerEnds } from '../../../src/graph/layers.ts'
import { lookup, nth } from '../../../src/graph/present.ts'
import type { Tensor } from '../../../src/graph/tensor.ts'
import { type Layout, layoutOf, views } from '../../../src/nn/layout.ts'
import { type Model, modelOf } from '../../../src/nn/model.ts'
import { normalized } from '../../../src/nn/normalize.ts'
import type { TrainedModel } from '../../../src/nn/trained.ts'
import { inferenceForm } from '../../../src/ops/mode.ts'
import type { OrtTensors, Runtime } from '../../../src/runtime/session.ts'
import type { Look, Stage } from '../protocol.ts'
import { cosines, cut } from '../see/maths.ts'
import { imageOf, Reader } from './reader.ts'

/** The model that a file of onnxgrad was made of; undefined where its metadata and weights do not make one. */
export function trainedOf(info: FileInfo): TrainedModel | undefined {
  const model = knownModel(info)
  if (!model) return undefined
  const layout = layoutOf(model.parameters)
  const weights = readWeights(info)
  const params = new Float32Array(layout.size)
  for (const [name, place] of views(layout, params)) {
    const { data } = weights.get(name) ?? {}
    if (!(data instanceof Float32Array) || data.length !== place.length) return undefined
    place.set(data)
  }
  const { classes, training } = info
  return { model, params, ...(classes && { classes }), ...(training && { training }) }
}

function knownModel({ model: about, normalization }: FileInfo): Model | undefined {
  if (!about) return undefined
  try {
    const model = buildModel(about.name, about.config)
    return normalization ? normalized(model, 'image', normalization) : model
  } catch (error) {
    if (error instanceof UserError) return undefined
    throw error
  }
}

/**
 * What happens inside a ViT while it reads an image. The parameters are given each time: one session serves them while
 * they are trained.
 */
export class Insides {
  readonly #config: ViTConfig
  readonly #shape: readonly number[]
  readonly #layout: Layout
  readonly #reader: Reader

  private constructor(runtime: Runtime, model: Model) {
    this.#config = model.config as ViTConfig
    this.#shape = imageOf(model)
    this.#layout = layoutOf(model.parameters)
    this.#reader = new Reader(runtime, withStages(model, this.#config.depth))
  }

  /** Undefined for a model that is not a ViT of `onnxgrad/models`; one of a file may be called so. */
  static of(runtime: Runtime, model: Model): Insides | undefined {
    return model.name === 'vit' && 'patch' in model.config ? new Insides(runtime, model) : undefined
  }

  /**
   * @param params flat, in the order of the model's layout
   * @param pixels `[channels, height, width]` in [0, 1]
   * @returns the stages that {@link Look} names
   * @throws UserError when the run fails
   */
  async look(params: Float32Array, pixels: Float32Array): Promise<Pick<Look, 'attention' | 'stages'>> {
    const got = await this.#reader.outputs(params, pixels)
    return this.#read(got, this.#positionsOf(params), cut(pixels, this.#shape, this.#config.patch))
  }

  #positionsOf = (params: Float32Array): Float32Array => lookup(views(this.#layout, params), 'pos_embed')

  /** Cosine similarity of the position embeddings, `[T, T]`. */
  positions(params: Float32Array): Stage {
    const { tokens } = this.#sizes()
    const data = cosines(this.#positionsOf(params), tokens)
    return { name: 'positions', shape: [tokens, tokens], data }
  }

  close(): Promise<void> {
    return this.#reader.close()
  }

  #sizes() {
    const { image, patch } = this.#config
    const patches = (image / patch) ** 2
    return { ...this.#config, patches, tokens: patches + 1 }
  }

  #read(
    got: OrtTensors,
    positions: Float32Array,
    pixels: Float32Array,
  ): { attention: readonly Stage[]; stages: readonly Stage[] } {
    const { patches, tokens, channels, patch, dim, depth, heads, classes } = this.#sizes()
    // Copied: what a session puts out may lie in memory that it uses again.
    const numbers = (name: string): Float32Array => (lookup(got, name).data as Float32Array).slice()
    const stage = (name: string, shape: readonly number[], data = numbers(name)): Stage => {
      return { name, shape, data }
    }
    const blocks = Array.from({ length: depth }, (_, i) => `blocks.${i}`)
    const answers = ['tokens', ...blocks].flatMap(name => [...numbers(`${name}.answer`)])
    return {
      attention: blocks.map((_, i) => stage(`attention.${i}`, [heads, tokens, tokens])),
      stages: [
        stage('patches', [patches, channels * patch * patch], pixels),
        stage('embedding', [patches, dim]),
        stage('positions', [tokens, dim], positions.slice()),
        stage('tokens', [tokens, dim]),
        ...blocks.map(name => stage(name, [tokens, dim])),
        // Of tokens the head reads the first, which is CLS; the mean of a ViT that pools one has no tokens any more.
        stage('norm', [dim], numbers('norm').slice(0, dim)),
        stage('answers', [depth + 1, classes], Float32Array.from(answers)),
        stage('logits', [classes]),
      ],
    }
  }
}

/** A ViT with what its layers return as outputs too, and what its head would make of that. */
function withStages(model: Model, depth: number): Model {
  const { name, config, inputs, layers, parameters, intermediates } = model
  const graph = inferenceForm({ ...model.graph, outputs: { ...model.outputs, ...intermediates } })
  const outputs = stagesOf(graph, depth)
  return modelOf({ name, config, inputs, layers, parameters, leaves: graph.inputs, outputs })
}

function stagesOf(graph: Graph, depth: number): Tensors {
  const ends = layerEnds(graph)
  const blocks = Array.from({ length: depth }, (_, i) => lookup(ends, `blocks.${i}`))
  const places: readonly (readonly [string, Tensor])[] = [
    ['tokens', nth(nth(blocks, 0).inputs, 0)],
    ...blocks.map(({ output }, i) => [`blocks.${i}`, output] as const),
  ]
  // The way from the last block to the logits, taken from an earlier one ("logit lens").
  const last = nth(blocks, -1).output
  const logits = lookup(graph.outputs, 'logits')
  const answer = (from: Tensor): Tensor =>
    lookup(substitute({ ...graph, outputs: { logits } }, new Map([[last, from]])), 'logits')
  return {
    ...graph.outputs,
    embedding: lookup(ends, 'patch_embed').output,
    norm: lookup(ends, ends.has('norm') ? 'norm' : 'fc_norm').output,
    ...Object.fromEntries(places),
    ...Object.fromEntries(places.map(([name, t]) => [`${name}.answer`, answer(t)])),
  }
}
