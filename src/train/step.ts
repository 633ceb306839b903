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
import { factorsOf } from './groups.ts'
import { type Layout, layoutOf } from './layout.ts'
import { crossEntropy } from './loss.ts'
import type { Optimizer } from './optimizer.ts'

/** A compiled graph and how to call it. */
export interface Program {
  readonly bytes: Uint8Array
  readonly graph: Graph
  readonly layout: Layout
}

/** A training step: `params` and the optimizer's moments go in and come out, flat. */
export interface StepProgram extends Program {
  /** Names of the flat vectors that a step replaces; output `next.<name>` holds the new one. */
  readonly state: readonly string[]
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
function unflatten(graph: Graph, layout: Layout, flat: AnyTensor): Map<Tensor, AnyTensor> {
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
  const vector = (name: string): AnyTensor => input(name, 'float32', [layout.size])
  const scalar = (name: string): AnyTensor => input(name, 'float32', [])
  const p = vector('params')
  const moments = Object.fromEntries(optimizer.state.map(name => [name, vector(name)]))
  const scalarNames = Object.keys(optimizer.scalars(1, optimizer.lr))
  const scalars = Object.fromEntries(scalarNames.map(name => [name, scalar(name)]))
  const seed = input('seed', 'float32', [SEED_SIZE])

  const random = isRandom(traced)
  const purpose = { target: options.target, dtype, training: true, recompute: options.recompute === true }
  const trained = trainingForm(random ? seedDropout(traced, seed) : traced)
  const forward = optimizeForward(trained, purpose)
  const leaves = unflatten(forward, layout, p)
  const results = substitute(forward, leaves)
  const logits = results.logits as AnyTensor
  const label = input('label', 'int32', logits.shape.slice(0, -1))
  const loss = crossEntropy(logits, label, { labelSmoothing })

  const pieces = layout.slots.map(s => leaves.get(forward.parameters[s.name]!)!)
  const gradient = concat(
    grad(loss, pieces).map((g, i) => reshape(g, [layout.slots[i]!.size])),
    0,
  )
  const g = clipNorm === undefined ? gradient : clipByNorm(gradient, clipNorm)
  const factors = factorsOf(layout, optimizer.grouping)
  const updated = optimizer.update({ p, g, state: moments, scalars, ...factors })

  const params = withBuffers(updated.p, pieces, layout, bufferUpdates(results))
  const state: Record<string, AnyTensor> = { params, ...updated.state }
  const outputs: Tensors = {
    loss,
    correct: countCorrect(logits, label),
    ...(options.keepGradient ? { gradient } : {}),
    ...Object.fromEntries(Object.entries(state).map(([name, t]) => [`next.${name}`, t])),
  }
  const inputs = {
    ...forward.inputs,
    label,
    params: p,
    ...moments,
    ...scalars,
    ...(random ? { seed } : {}),
  }
  const graph = optimizeFor({ inputs, parameters: {}, outputs }, purpose)
  const bytes = lower(graph, { name: `${model.name}-step`, opset: 21 })
  return { bytes, graph, layout, state: Object.keys(state), random }
}

/** The new parameters with the new values of buffers in their places: their gradient is zero, so no optimizer moves them. */
function withBuffers(
  p: AnyTensor,
  pieces: readonly AnyTensor[],
  { slots }: Layout,
  buffers: ReadonlyMap<string, Tensor>,
): AnyTensor {
  if (!buffers.size) return p
  const changes = slots.map((slot, i) => {
    const value = buffers.get(slot.name)
    const change = value ? sub(value as AnyTensor, pieces[i]!) : fill(0, p.dtype, [slot.size])
    return reshape(change, [slot.size])
  })
  return add(p, concat(changes, 0))
}

/** g · min(1, norm / ‖g‖), as torch.nn.utils.clip_grad_norm_. */
const clipByNorm = (g: AnyTensor, norm: number): AnyTensor => {
  const length = sqrt(sum(mul(g, g)))
  return mul(g, minimum(div(constant(norm, g.dtype, []), add(length, 1e-6)), 1))
}

/** What a checkpoint's parameters answer: `image` and `params` in, `logits` out; any batch size. */
export function compileForward(
  model: Model,
  options: {
    readonly normalization?: Normalization
    readonly target: Target
    readonly dtype?: 'float32' | 'float64'
  },
): Program {
  const layout = layoutOf(model.parameters)
  const purpose = { target: options.target, dtype: options.dtype ?? 'float32', training: false } as const
  const traced = removeDropout(traceNormalized(model, 'batch', options.normalization))
  const forward = optimizeForward(traced, purpose)
  const p: AnyTensor = input('params', 'float32', [layout.size])
  const outputs = substitute(forward, unflatten(forward, layout, p))
  const inputs = { ...forward.inputs, params: p }
  const graph = optimizeFor({ inputs, parameters: {}, outputs }, purpose)
  return { bytes: lower(graph, { name: `${model.name}-forward`, opset: 21 }), graph, layout }
}
