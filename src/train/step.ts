import type { Normalization } from '../data/dataset.ts'
import { lower } from '../export/lower.ts'
import { UserError } from '../graph/errors.ts'
import { type Graph, substitute, type Tensors } from '../graph/graph.ts'
import { constant, input } from '../graph/leaf.ts'
import type { Target } from '../graph/target.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { type Model, type TraceOptions, trace } from '../nn/model.ts'
import { add, cast, div, equal, minimum, mul, sqrt, sub } from '../ops/elementwise.ts'
import { fill } from '../ops/fill.ts'
import { argmax } from '../ops/gather.ts'
import { grad } from '../ops/grad.ts'
import { concat, reshape, split } from '../ops/layout.ts'
import { SEED_SIZE } from '../ops/random.ts'
import { sum } from '../ops/reduce.ts'
import { isRandom, removeDropout, seedDropout } from '../passes/dropout.ts'
import { optimizeFor, optimizeForward } from '../passes/index.ts'
import { bufferUpdates, trainingForm } from '../passes/training-form.ts'
import { checkMatches, factorsOf } from './groups.ts'
import { type Layout, layoutOf, type Part, partsOf } from './layout.ts'
import { crossEntropy } from './loss.ts'
import type { Optimizer } from './optimizer.ts'

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

/** A training step: `params` and the optimizer's moments go in and come out, flat. */
export interface StepProgram extends Program {
  readonly state: readonly StateVector[]
  readonly random: boolean
}

export interface StepOptions {
  /** Images of one step. */
  readonly batch: number
  readonly optimizer: Optimizer
  readonly normalization?: Normalization
  /** @default 0 */
  readonly labelSmoothing?: number
  /** Largest global norm of the gradient (Pascanu et al. 2013); larger ones are scaled down. */
  readonly clipNorm?: number
  readonly target: Target
  /** @default 'float32' */
  readonly dtype?: 'float32' | 'float64'
  /** Also output the flat gradient, as `gradient`. */
  readonly keepGradient?: boolean
  /** Compute cheap activations again in the backward pass where that saves memory; results are the same. @default false */
  readonly recompute?: boolean
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

/** Labels of the batch that the logits put first, as float32. */
const countCorrect = (logits: AnyTensor, label: AnyTensor): AnyTensor =>
  sum(cast(equal(argmax(logits, -1), cast(label, 'int64')), 'float32'))

/**
 * Forward, loss, backward and optimizer as one graph: the model's input, `label`, `params`, moments and scalars in; `loss` (mean of the batch),
 * `correct` (count), `next.params` and new moments out.
 */
export function compileStep(model: Model, options: StepOptions): StepProgram {
  const { batch, optimizer, normalization, labelSmoothing = 0, clipNorm, dtype = 'float32' } = options
  if (clipNorm !== undefined && !(clipNorm > 0))
    throw new UserError(`clip norm must be above 0, not ${clipNorm}`)
  const layout = layoutOf(model.parameters)
  const traced = traceNormalized(model, batch, normalization)
  checkMatches(layout, optimizer.grouping)
  const state = stateOf(layout, options.target, ['params', ...optimizer.state])
  const scalar = (name: string): AnyTensor => input(name, 'float32', [])
  const vectors = new Map(state.map(v => [v, input(v.name, 'float32', [v.part.size]) as AnyTensor]))
  /** The parts, each with the vectors that it has. */
  const parts = [...new Set(state.map(v => v.part))].map(part => ({
    part,
    now: Object.fromEntries(
      state.filter(v => v.part === part).map(v => [v.vector, vectors.get(v)!] as const),
    ),
  }))
  const scalarNames = Object.keys(optimizer.scalars(1, optimizer.lr))
  const scalars = Object.fromEntries(scalarNames.map(name => [name, scalar(name)]))
  const seed = input('seed', 'float32', [SEED_SIZE])

  const random = isRandom(traced)
  const purpose = { target: options.target, dtype, training: true, recompute: options.recompute === true }
  const trained = trainingForm(random ? seedDropout(traced, seed) : traced)
  const forward = optimizeForward(trained, purpose)
  const leaves = new Map(parts.flatMap(({ part, now }) => [...unflatten(forward, part, now.params!)]))
  const results = substitute(forward, leaves)
  const logits = results.logits as AnyTensor
  const label = input('label', 'int32', logits.shape.slice(0, -1))
  const loss = crossEntropy(logits, label, { labelSmoothing })

  const pieces = layout.slots.map(s => leaves.get(forward.parameters[s.name]!)!)
  const each = new Map(grad(loss, pieces).map((g, i) => [layout.slots[i]!.name, reshape(g, [-1])]))
  const gradients = parts.map(({ part }) =>
    concat(
      part.slots.map(s => each.get(s.name)!),
      0,
    ),
  )
  const scale = clipNorm === undefined ? undefined : clipFactor(gradients, clipNorm)
  const buffers = bufferUpdates(results)
  const next: Record<string, AnyTensor> = {}
  parts.forEach(({ part, now: { params, ...moments } }, i) => {
    const g = scale ? mul(gradients[i]!, scale) : gradients[i]!
    const factors = factorsOf(part, optimizer.grouping)
    const updated = optimizer.update({ p: params!, g, state: moments, scalars, ...factors })
    const values: Record<string, AnyTensor> = {
      params: withBuffers(updated.p, part, leaves, forward, buffers),
      ...updated.state,
    }
    for (const { name, vector } of state.filter(v => v.part === part)) next[`next.${name}`] = values[vector]!
  })
  const outputs: Tensors = {
    loss,
    correct: countCorrect(logits, label),
    ...(options.keepGradient ? { gradient: concat(gradients, 0) } : {}),
    ...next,
  }
  const inputs = {
    ...forward.inputs,
    label,
    ...Object.fromEntries(state.map(v => [v.name, vectors.get(v)!])),
    ...scalars,
    ...(random ? { seed } : {}),
  }
  const graph = optimizeFor({ inputs, parameters: {}, outputs }, purpose)
  const bytes = lower(graph, { name: `${model.name}-step`, opset: 21 })
  return { bytes, graph, layout, state, random }
}

/** The new parameters with the new values of buffers in their places: their gradient is zero, so no optimizer moves them. */
function withBuffers(
  p: AnyTensor,
  { slots }: Layout,
  leaves: ReadonlyMap<Tensor, AnyTensor>,
  forward: Graph,
  buffers: ReadonlyMap<string, Tensor>,
): AnyTensor {
  if (!slots.some(slot => buffers.has(slot.name))) return p
  const changes = slots.map(slot => {
    const value = buffers.get(slot.name) as AnyTensor | undefined
    const old = leaves.get(forward.parameters[slot.name]!)!
    return reshape(value ? sub(value, old) : fill(0, p.dtype, [slot.size]), [slot.size])
  })
  return add(p, concat(changes, 0))
}

/** min(1, norm / ‖g‖), what torch.nn.utils.clip_grad_norm_ multiplies all gradients by. */
const clipFactor = (gradients: readonly AnyTensor[], norm: number): AnyTensor => {
  const squares = gradients.map(g => sum(mul(g, g))).reduce((a, b) => add(a, b))
  const factor = div(constant(norm, squares.dtype, []), add(sqrt(squares), 1e-6))
  return minimum(factor, 1)
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
