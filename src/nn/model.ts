import { UserError } from '../graph/errors.ts'
import type { Graph } from '../graph/graph.ts'
import { input, type Parameter, parameterAttrs } from '../graph/leaf.ts'
import type { Dim } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { namedParameters, type UnaryLayer } from './layer.ts'

/** An image classifier: `[batch, channels, height, width]` → logits `[batch, classes]`. */
export interface Model<Config extends object = object> {
  /** Name of the architecture, such as `vit`; with `config` it is enough to build the model again. */
  readonly name: string
  readonly config: Config
  /** Channels, height and width of an image. */
  readonly image: readonly [channels: number, height: number, width: number]
  readonly classes: number
  readonly parameters: ReadonlyMap<string, Parameter>
  readonly forward: UnaryLayer
  /** Attention maps of an image's blocks, `[batch, heads, T, T]` each; for models that attend. */
  readonly attention?: (image: AnyTensor) => readonly AnyTensor[]
}

export interface ModelSpec<Config extends object> {
  readonly name: string
  readonly config: Config
  readonly image: readonly [channels: number, height: number, width: number]
  readonly classes: number
  readonly net: UnaryLayer
  readonly attention?: (image: AnyTensor) => readonly AnyTensor[]
}

/** Makes a trainable model of a network: its parameters get their names. */
export function model<Config extends object>({ net, ...spec }: ModelSpec<Config>): Model<Config> {
  return Object.freeze({ ...spec, forward: net, parameters: namedParameters(net) })
}

export interface TraceOptions {
  /** Also output the attention maps, as `attention.0`, `attention.1` … @default false */
  readonly attention?: boolean
}

/**
 * The model as a graph from `image` to `logits`, for a batch of the given size or symbol.
 * @throws UserError when attention is asked of a model that has none
 */
export function trace(
  { name, image, forward, attention, parameters }: Model,
  batch: Dim = 'batch',
  options: TraceOptions = {},
): Graph {
  if (options.attention && !attention) throw new UserError(`${name} has no attention maps`)
  const x: AnyTensor = input('image', 'float32', [batch, ...image])
  const logits = forward(x)
  const maps = options.attention ? attention!(x).map((map, i) => [`attention.${i}`, map] as const) : []
  return {
    inputs: { image: x },
    parameters: Object.fromEntries(parameters),
    outputs: { logits, ...Object.fromEntries(maps) },
  }
}

/** How many numbers a model learns; buffers are not counted. */
export const parameterCount = ({ parameters }: Pick<Model, 'parameters'>): number =>
  [...parameters.values()]
    .filter(p => !parameterAttrs(p).buffer)
    .reduce((n, p) => n + p.shape.reduce<number>((a, d) => a * (d as number), 1), 0)
