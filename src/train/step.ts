import type { Normalization } from '../data/dataset.ts'
import { lower } from '../export/lower.ts'
import { UserError } from '../graph/errors.ts'
import { type Graph, substitute } from '../graph/graph.ts'
import { input } from '../graph/leaf.ts'
import type { Target } from '../graph/target.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import type { Model } from '../nn/model.ts'
import { add, cast, equal, mul, sub } from '../ops/elementwise.ts'
import { fill } from '../ops/fill.ts'
import { argmax, oneHot } from '../ops/gather.ts'
import { grad } from '../ops/grad.ts'
import { concat, reshape } from '../ops/layout.ts'
import { SEED_SIZE } from '../ops/random.ts'
import { sum } from '../ops/reduce.ts'
import { isRandom, seedDropout } from '../passes/dropout.ts'
import { optimizeFor, optimizeForward, type Purpose } from '../passes/index.ts'
import { bufferUpdates, trainingForm } from '../passes/training-form.ts'
import { type Program, type StateVector, traceNormalized, unflatten } from './forward.ts'
import { checkMatches } from './groups.ts'
import { type Layout, layoutOf, type Part } from './layout.ts'
import { crossEntropy } from './loss.ts'
import {
  nextState,
  type StatePart,
  stateInputs,
  type UpdateOptions,
  update,
  updatedVectors,
  updateScalars,
} from './update.ts'

/** A graph that replaces state: each vector goes in under its name, and comes out as `next.<name>`. */
export interface StepProgram extends Program {
  readonly state: readonly StateVector[]
  /** Whether it takes a `seed`. */
  readonly random: boolean
}

export interface BackwardOptions {
  /** Images of one step. */
  readonly batch: number
  readonly normalization?: Normalization
  /** @default 0 */
  readonly labelSmoothing?: number
  /** Whether examples are mixed in pairs: each has a second label, and the share of its first. @default false */
  readonly mixed?: boolean
  readonly target: Target
  /** @default 'float32' */
  readonly dtype?: 'float32' | 'float64'
  /** Compute cheap activations again in the backward pass where that saves memory; results are the same. @default false */
  readonly recompute?: boolean
}

export interface StepOptions extends BackwardOptions, UpdateOptions {
  /** Also output the flat gradient, as `gradient`. */
  readonly keepGradient?: boolean
}

const purposeOf = ({ target, dtype = 'float32', recompute = false }: BackwardOptions): Purpose => ({
  target,
  dtype,
  training: true,
  recompute,
})

/** Labels of the batch that the logits put first, as float32. */
const countCorrect = (logits: AnyTensor, label: AnyTensor): AnyTensor =>
  sum(cast(equal(argmax(logits, -1), cast(label, 'int64')), 'float32'))

/** Forward, loss and gradients, of parameters that are parts of flat vectors. */
function backward(model: Model, layout: Layout, parts: readonly StatePart[], options: BackwardOptions) {
  const { batch, normalization, labelSmoothing = 0, mixed = false } = options
  const traced = traceNormalized(model, batch, normalization)
  const random = isRandom(traced)
  const seed = input('seed', 'float32', [SEED_SIZE])
  const trained = trainingForm(random ? seedDropout(traced, seed) : traced)
  const forward = optimizeForward(trained, purposeOf(options))
  const leaves = new Map(parts.flatMap(({ part, now }) => [...unflatten(forward, part, now.params!)]))
  const results = substitute(forward, leaves)
  const logits = results.logits as AnyTensor
  const label = input('label', 'int32', logits.shape.slice(0, -1)) as AnyTensor
  const pairs = mixed ? mixing(label, logits) : undefined
  const loss = crossEntropy(logits, pairs?.target ?? label, { labelSmoothing })

  const pieces = layout.slots.map(s => leaves.get(forward.parameters[s.name]!)!)
  const each = new Map(grad(loss, pieces).map((g, i) => [layout.slots[i]!.name, reshape(g, [-1])]))
  const gradients = parts.map(({ part }) =>
    concat(
      part.slots.map(s => each.get(s.name)!),
      0,
    ),
  )
  return {
    random,
    inputs: { ...forward.inputs, label, ...pairs?.inputs, ...(random ? { seed } : {}) },
    outputs: { loss, correct: countCorrect(logits, label) },
    gradients,
    /** Parameters with the new values of buffers in their places: no optimizer moves them, for their gradient is zero. */
    withBuffers: (p: AnyTensor, part: Part) => withBuffers(p, part, leaves, forward, bufferUpdates(results)),
  }
}

/** λ · one-hot(label) + (1 − λ) · one-hot(the other label): targets of examples mixed in pairs (Zhang et al. 2018). */
function mixing(label: AnyTensor, logits: AnyTensor) {
  if (logits.shape.length !== 2) throw new UserError('mixup and cutmix go with one label an example')
  const classes = logits.shape[1] as number
  const other = input('label.other', 'int32', label.shape) as AnyTensor
  const share = input('label.share', 'float32', label.shape) as AnyTensor
  const each = cast(reshape(share, [-1, 1]), logits.dtype)
  const hot = (l: AnyTensor): AnyTensor => oneHot(l, classes, logits.dtype)
  const target = add(hot(other), mul(each, sub(hot(label), hot(other))))
  return { target, inputs: { 'label.other': other, 'label.share': share } }
}

/**
 * Forward, loss, backward and optimizer as one graph: the model's input, `label`, `params`, moments and scalars in; `loss` (mean of the batch),
 * `correct` (count), `gradNorm`, `next.params` and new moments out.
 */
export function compileStep(model: Model, options: StepOptions): StepProgram {
  checkOptions(options)
  const layout = layoutOf(model.parameters)
  checkMatches(layout, options.optimizer.grouping)
  const { state, parts, inputs } = stateInputs(layout, options.target, updatedVectors(options))
  const scalars = updateScalars(options)
  const { random, gradients, withBuffers, ...back } = backward(model, layout, parts, options)
  const { next, norm } = update(parts, gradients, scalars, options, withBuffers)
  const graph: Graph = {
    inputs: { ...back.inputs, ...inputs, ...scalars },
    parameters: {},
    outputs: {
      ...back.outputs,
      gradNorm: norm,
      ...(options.keepGradient ? { gradient: concat(gradients, 0) } : {}),
      ...nextState(state, next),
    },
  }
  return finish(`${model.name}-step`, graph, layout, state, random, options)
}

/** State vector of {@link compileGradients}: the gradient so far. */
export const GRADIENT = 'gradient'

/**
 * The first half of a step in parts: adds the gradient of a batch to `gradient`. `params` are read; `weight` is what the batch counts, `keep` 0 for the
 * first batch of an update and else 1. {@link compileUpdate} is the second half.
 * @throws UserError for a model with running statistics, which a step updates with its parameters
 */
export function compileGradients(model: Model, options: BackwardOptions): StepProgram {
  const layout = layoutOf(model.parameters)
  const buffer = layout.slots.find(s => s.buffer)
  if (buffer)
    throw new UserError(
      `${model.name} keeps running statistics (${buffer.name}), which go with --accumulate 1 only`,
    )
  const { state, parts, inputs } = stateInputs(layout, options.target, ['params', GRADIENT])
  const weight = input('weight', 'float32', []) as AnyTensor
  const keep = input('keep', 'float32', []) as AnyTensor
  const { random, gradients, ...back } = backward(model, layout, parts, options)
  const added = parts.map(
    ({ part, now }, i) =>
      [part, { [GRADIENT]: add(mul(now[GRADIENT]!, keep), mul(gradients[i]!, weight)) }] as const,
  )
  const replaced = state.filter(v => v.vector === GRADIENT)
  const graph: Graph = {
    inputs: { ...back.inputs, ...inputs, weight, keep },
    parameters: {},
    outputs: { ...back.outputs, ...nextState(replaced, new Map(added)) },
  }
  return finish(`${model.name}-gradients`, graph, layout, replaced, random, options)
}

/** The second half of a step in parts: the optimizer, from `gradient`. */
export function compileUpdate(
  model: Model,
  options: UpdateOptions & { readonly target: Target },
): StepProgram {
  checkOptions(options)
  const layout = layoutOf(model.parameters)
  checkMatches(layout, options.optimizer.grouping)
  const vectors = updatedVectors(options)
  const { state, parts, inputs } = stateInputs(layout, options.target, [...vectors, GRADIENT])
  const scalars = updateScalars(options)
  const gradients = parts.map(({ now }) => now[GRADIENT]!)
  const own = parts.map(({ part, now: { [GRADIENT]: _, ...now } }) => ({ part, now }))
  const { next, norm } = update(own, gradients, scalars, options)
  const replaced = state.filter(v => v.vector !== GRADIENT)
  const graph: Graph = {
    inputs: { ...inputs, ...scalars },
    parameters: {},
    outputs: { gradNorm: norm, ...nextState(replaced, next) },
  }
  return finish(`${model.name}-update`, graph, layout, replaced, false, { ...options, batch: 1 })
}

function checkOptions({ clipNorm }: UpdateOptions): void {
  if (clipNorm !== undefined && !(clipNorm > 0))
    throw new UserError(`clip norm must be above 0, not ${clipNorm}`)
}

function finish(
  name: string,
  traced: Graph,
  layout: Layout,
  state: readonly StateVector[],
  random: boolean,
  options: BackwardOptions,
): StepProgram {
  const graph = optimizeFor(traced, purposeOf(options))
  return { bytes: lower(graph, { name, opset: 21 }), graph, layout, state, random }
}

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
