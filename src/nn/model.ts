import { UserError } from '../graph/errors.ts'
import type { Graph } from '../graph/graph.ts'
import { input, type Parameter, parameterAttrs } from '../graph/leaf.ts'
import type { Dim } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { namedParameters, type UnaryLayer } from './layer.ts'

/** One example of what a model reads. */
export interface ModelInput {
  /** `image`: pixels `[channels, height, width]`; `tokens`: a row of ids `[T]`. */
  readonly name: 'image' | 'tokens'
  readonly dtype: 'float32' | 'int32'
  readonly shape: readonly number[]
}

/**
 * A classifier: an image `[batch, channels, height, width]` → logits `[batch, classes]`, or tokens `[batch, T]` → logits of
 * each one's class `[batch, T, classes]`.
 */
export interface Model<Config extends object = object> {
  /** Name of the architecture, such as `vit`; with `config` it is enough to build the model again. */
  readonly name: string
  readonly config: Config
  readonly input: ModelInput
  readonly classes: number
  readonly parameters: ReadonlyMap<string, Parameter>
  readonly forward: UnaryLayer
  /** Attention maps of an image's blocks, `[batch, heads, T, T]` each; for models that attend. */
  readonly attention?: (image: AnyTensor) => readonly AnyTensor[]
}

export interface ModelSpec<Config extends object> {
  readonly name: string
  readonly config: Config
  readonly input: ModelInput
  readonly classes: number
  readonly net: UnaryLayer
  readonly attention?: (image: AnyTensor) => readonly AnyTensor[]
}

/** All parameters are one vector, and no array holds more. */
const MOST_PARAMETERS = 2 ** 31

/**
 * Makes a trainable model of a network: its parameters get their names.
 * @throws UserError when they are more than 2³¹ numbers
 */
export function model<Config extends object>({ net, ...spec }: ModelSpec<Config>): Model<Config> {
  const parameters = namedParameters(net)
  const size = [...parameters.values()].reduce((n, p) => n + sizeOf(p), 0)
  if (size > MOST_PARAMETERS)
    throw new UserError(
      `${spec.name}: has ${size} parameters, ${MOST_PARAMETERS} are the most; make it smaller`,
    )
  return Object.freeze({ ...spec, forward: net, parameters })
}

const sizeOf = (p: Parameter): number => p.shape.reduce<number>((n, d) => n * Number(d), 1)

/** An image with pixels in [0, 1] as a model's input. */
export const imageInput = (channels: number, height: number, width = height): ModelInput => ({
  name: 'image',
  dtype: 'float32',
  shape: [channels, height, width],
})

export interface TraceOptions {
  /** Also output the attention maps, as `attention.0`, `attention.1` … @default false */
  readonly attention?: boolean
}

/**
 * The model as a graph from its input to `logits`, for a batch of the given size or symbol.
 * @throws UserError when attention is asked of a model that has none
 */
export function trace(
  { name, input: example, forward, attention, parameters }: Model,
  batch: Dim = 'batch',
  options: TraceOptions = {},
): Graph {
  if (options.attention && !attention) throw new UserError(`${name} has no attention maps`)
  const x: AnyTensor = input(example.name, example.dtype, [batch, ...example.shape])
  const logits = forward(x)
  const maps = options.attention ? attention!(x).map((map, i) => [`attention.${i}`, map] as const) : []
  return {
    inputs: { [example.name]: x },
    parameters: Object.fromEntries(parameters),
    outputs: { logits, ...Object.fromEntries(maps) },
  }
}

/** How many numbers a model learns; buffers are not counted. */
export const parameterCount = ({ parameters }: Pick<Model, 'parameters'>): number =>
  [...parameters.values()].filter(p => !parameterAttrs(p).buffer).reduce((n, p) => n + sizeOf(p), 0)
