import { buildModel } from '../../../models/index.ts'
import type { ViTConfig } from '../../../models/vit.ts'
import { lower, OPSETS } from '../../../src/export/lower.ts'
import { type FileInfo, readWeights } from '../../../src/export/read.ts'
import { UserError } from '../../../src/graph/errors.ts'
import { type Graph, substitute, type Tensors } from '../../../src/graph/graph.ts'
import { layerEnds } from '../../../src/graph/layers.ts'
import { input } from '../../../src/graph/leaf.ts'
import type { AnyTensor, Tensor } from '../../../src/graph/tensor.ts'
import type { Model } from '../../../src/nn/model.ts'
import { optimizeFor } from '../../../src/passes/index.ts'
import type { OrtTensors, Runtime, Session } from '../../../src/runtime/session.ts'
import { unflatten } from '../../../src/train/forward.ts'
import { type Layout, layoutOf, views } from '../../../src/train/layout.ts'
import { servingGraph, type TrainedModel } from '../../../src/train/trained.ts'
import type { Look, Stage } from '../protocol.ts'
import { cosines, cut } from '../see/maths.ts'

/** The model that a file of onnxgrad was made of; undefined where its metadata and weights do not make one. */
export function trainedOf(info: FileInfo): TrainedModel | undefined {
  const model = info.model && modelOf(info.model)
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

function modelOf({ name, config }: { readonly name: string; readonly config: object }): Model | undefined {
  try {
    return buildModel(name, config)
  } catch (error) {
    if (error instanceof UserError) return undefined
    throw error
  }
}

/**
 * What happens inside a ViT while it reads an image. The parameters are an input: one session serves them while they
 * are trained.
 */
export class Insides {
  readonly #runtime: Runtime
  readonly #model: Model
  readonly #config: ViTConfig
  readonly #layout: Layout
  readonly #bytes: Uint8Array
  #session: Promise<Session> | undefined

  private constructor(runtime: Runtime, trained: Pick<TrainedModel, 'model' | 'normalization'>) {
    this.#runtime = runtime
    this.#model = trained.model
    this.#config = trained.model.config as ViTConfig
    this.#layout = layoutOf(trained.model.parameters)
    const stages = withStages(servingGraph(trained, { attention: true }), this.#config.depth)
    const graph = withParameters(stages, this.#layout)
    const purpose = { target: runtime.device.target, dtype: 'float32', training: false } as const
    this.#bytes = lower(optimizeFor(graph, purpose), { name: 'inside', opset: OPSETS.max })
  }

  /** Undefined for a model that is no ViT. */
  static of(runtime: Runtime, trained: Pick<TrainedModel, 'model' | 'normalization'>): Insides | undefined {
    return trained.model.name === 'vit' ? new Insides(runtime, trained) : undefined
  }

  /**
   * @param params flat, in the order of the model's layout
   * @param pixels `[channels, height, width]` in [0, 1]
   * @returns the stages that {@link Look} names
   * @throws UserError when the run fails
   */
  async look(params: Float32Array, pixels: Float32Array): Promise<Pick<Look, 'attention' | 'stages'>> {
    const { shape } = this.#model.input
    this.#session ??= this.#runtime.load(this.#bytes)
    const got = await (await this.#session).run({
      image: this.#runtime.tensor('float32', pixels, [1, ...shape]),
      params: this.#runtime.tensor('float32', params, [this.#layout.size]),
    })
    return this.#read(
      got,
      views(this.#layout, params).get('pos_embed')!,
      cut(pixels, shape, this.#config.patch),
    )
  }

  /** Cosine similarity of the position embeddings, `[T, T]`. */
  positions(params: Float32Array): Stage {
    const { tokens } = this.#sizes()
    const data = cosines(views(this.#layout, params).get('pos_embed')!, tokens)
    return { name: 'positions', shape: [tokens, tokens], data }
  }

  async close(): Promise<void> {
    await (await this.#session)?.close()
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
    const numbers = (name: string): Float32Array => (got[name]!.data as Float32Array).slice()
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

/** The graph of a ViT with what its layers return as outputs too, and what its head would make of that. */
function withStages(graph: Graph, depth: number): Graph {
  const ends = layerEnds(graph)
  const blocks = Array.from({ length: depth }, (_, i) => ends.get(`blocks.${i}`)!)
  const places: readonly (readonly [string, Tensor])[] = [
    ['tokens', blocks[0]!.inputs[0]!],
    ...blocks.map(({ output }, i) => [`blocks.${i}`, output] as const),
  ]
  // The way from the last block to the logits, taken from an earlier one ("logit lens").
  const last = blocks.at(-1)!.output
  const { logits } = graph.outputs
  const answer = (from: Tensor): Tensor =>
    substitute({ ...graph, outputs: { logits: logits! } }, new Map([[last, from]])).logits!
  const outputs: Tensors = {
    ...graph.outputs,
    embedding: ends.get('patch_embed')!.output,
    norm: (ends.get('norm') ?? ends.get('fc_norm'))!.output,
    ...Object.fromEntries(places),
    ...Object.fromEntries(places.map(([name, t]) => [`${name}.answer`, answer(t)])),
  }
  return { ...graph, outputs }
}

/** A graph that takes its parameters as one more input, flat. */
function withParameters(graph: Graph, layout: Layout): Graph {
  const params: AnyTensor = input('params', 'float32', [layout.size])
  const outputs = substitute(graph, unflatten(graph, layout, params))
  return { inputs: { ...graph.inputs, params }, parameters: {}, outputs }
}
