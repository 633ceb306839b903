import type { Normalization } from '../data/dataset.ts'
import { lower } from '../export/lower.ts'
import { UserError } from '../graph/errors.ts'
import { type Graph, substitute } from '../graph/graph.ts'
import { constant, input } from '../graph/leaf.ts'
import type { Target } from '../graph/target.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { type Model, type TraceOptions, trace } from '../nn/model.ts'
import { div, sub } from '../ops/elementwise.ts'
import { reshape, split } from '../ops/layout.ts'
import { removeDropout } from '../passes/dropout.ts'
import { optimizeFor, optimizeForward } from '../passes/index.ts'
import { type Layout, layoutOf, type Part, partsOf } from './layout.ts'

/** A compiled graph and how to call it. */
export interface Program {
  readonly bytes: Uint8Array
  readonly graph: Graph
  readonly layout: Layout
}

/** A vector of a program's state, or a part of one. */
export interface StateVector {
  /** Of the graph's input; output `next.<name>` holds the new values. */
  readonly name: string
  /** `params`, or one of the optimizer's moments. */
  readonly vector: string
  readonly part: Part
}

/** The vectors that a step replaces. Large ones come in parts, as the target prefers it. */
export function stateOf(layout: Layout, target: Target, vectors: readonly string[]): StateVector[] {
  const parts = partsOf(layout, target.statePart)
  return parts.flatMap((part, i) =>
    vectors.map(vector => ({ name: parts.length > 1 ? `${vector}.${i}` : vector, vector, part })),
  )
}

/** The model's graph with pixels in [0, 1] at its input. */
export function traceNormalized(
  model: Model,
  batch: number | 'batch',
  normalization?: Normalization,
  options?: TraceOptions,
): Graph {
  const graph = trace(model, batch, options)
  if (!normalization) return graph
  const image = graph.inputs.image as AnyTensor | undefined
  if (!image) throw new UserError(`${model.name} reads ${model.input.name}, which is not normalized`)
  const channels = model.input.shape[0]!
  const { mean, std } = normalization
  for (const [what, values] of Object.entries({ mean, std }))
    if (values.length !== channels)
      throw new UserError(`normalization: ${values.length} values of ${what} for ${channels} channels`)
  const perChannel = (values: readonly number[]) => constant(values, 'float32', [channels, 1, 1])
  const pixels = input('image', 'float32', image.shape)
  const normal = div(sub(pixels, perChannel(mean)), perChannel(std))
  return { ...graph, inputs: { image: pixels }, outputs: substitute(graph, new Map([[image, normal]])) }
}

/** Parameters as pieces of one flat vector: what each leaf is replaced by. */
export function unflatten(graph: Graph, layout: Layout, flat: AnyTensor): Map<Tensor, AnyTensor> {
  const pieces = split(
    flat,
    0,
    layout.slots.map(s => s.size),
  )
  return new Map(layout.slots.map((s, i) => [graph.parameters[s.name]!, reshape(pieces[i]!, s.shape)]))
}

/**
 * What a checkpoint's parameters answer: `image` and `params` in, `logits` out; any batch size.
 * @param options.parts takes the parameters in the parts that a step has them in
 */
export function compileForward(
  model: Model,
  options: {
    readonly normalization?: Normalization
    readonly target: Target
    readonly dtype?: 'float32' | 'float64'
    readonly parts?: boolean
  },
): Program {
  const layout = layoutOf(model.parameters)
  const purpose = { target: options.target, dtype: options.dtype ?? 'float32', training: false } as const
  const traced = removeDropout(traceNormalized(model, 'batch', options.normalization))
  const forward = optimizeForward(traced, purpose)
  const target = options.parts ? options.target : { ...options.target, statePart: Number.POSITIVE_INFINITY }
  const params = stateOf(layout, target, ['params']).map(({ name, part }) => ({
    part,
    name,
    p: input(name, 'float32', [part.size]) as AnyTensor,
  }))
  const outputs = substitute(forward, new Map(params.flatMap(v => [...unflatten(forward, v.part, v.p)])))
  const inputs = { ...forward.inputs, ...Object.fromEntries(params.map(({ name, p }) => [name, p])) }
  const graph = optimizeFor({ inputs, parameters: {}, outputs }, purpose)
  return { bytes: lower(graph, { name: `${model.name}-forward`, opset: 21 }), graph, layout }
}
