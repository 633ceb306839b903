import type { Tensors } from '../graph/graph.ts'
import { constant, input } from '../graph/leaf.ts'
import type { Target } from '../graph/target.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { add, div, minimum, mul, sqrt, sub } from '../ops/elementwise.ts'
import { sum } from '../ops/reduce.ts'
import { EMA, EMA_RATE, emaDecay } from './ema.ts'
import { type StateVector, stateOf } from './forward.ts'
import { factorsOf } from './groups.ts'
import type { Layout, Part } from './layout.ts'
import type { Optimizer } from './optimizer.ts'

/** A part of the state as graph inputs. */
export interface StatePart {
  readonly part: Part
  /** By vector: `params`, the optimizer's moments, others. */
  readonly now: Readonly<Record<string, AnyTensor>>
}

/** The state as inputs of a graph, in parts as the target prefers it. */
export function stateInputs(layout: Layout, target: Target, vectors: readonly string[]) {
  const state = stateOf(layout, target, vectors)
  const tensors = new Map(state.map(v => [v, input(v.name, 'float32', [v.part.size]) as AnyTensor]))
  const parts = [...new Set(state.map(v => v.part))].map((part): StatePart => {
    const own = state.filter(v => v.part === part)
    return { part, now: Object.fromEntries(own.map(v => [v.vector, tensors.get(v)!])) }
  })
  return { state, parts, inputs: Object.fromEntries(state.map(v => [v.name, tensors.get(v)!])) }
}

/** New values of state vectors as outputs `next.<name>`. */
export const nextState = (
  state: readonly StateVector[],
  values: ReadonlyMap<Part, Readonly<Record<string, AnyTensor>>>,
): Tensors =>
  Object.fromEntries(state.map(({ name, vector, part }) => [`next.${name}`, values.get(part)![vector]!]))

/** What goes into every update as scalars: the optimizer's, and the decay of the average where there is one. */
export interface UpdateOptions {
  readonly optimizer: Optimizer
  /** Largest global norm of the gradient (Pascanu et al. 2013); larger ones are scaled down. */
  readonly clipNorm?: number
  /** Decay of a moving average of the parameters, kept as the vector `ema`. */
  readonly ema?: number
}

/** Vectors that an update replaces. */
export const updatedVectors = ({ optimizer, ema }: UpdateOptions): string[] => [
  'params',
  ...optimizer.state,
  ...(ema === undefined ? [] : [EMA]),
]

/** Names of an update's scalar inputs, as graph inputs. */
export function updateScalars(options: UpdateOptions): Record<string, AnyTensor> {
  const names = Object.keys(scalarValues(options, 1, options.optimizer.lr))
  return Object.fromEntries(names.map(name => [name, input(name, 'float32', []) as AnyTensor]))
}

/** Values of an update's scalars. @param step counted from 1 @param lr the scheduled learning rate */
export const scalarValues = (
  { optimizer, ema }: UpdateOptions,
  step: number,
  lr: number,
): Readonly<Record<string, number>> => ({
  ...optimizer.scalars(step, lr),
  ...(ema === undefined ? {} : { [EMA_RATE]: 1 - emaDecay(ema, step) }),
})

/**
 * One update of all parts, by the optimizer: new values of every vector, and ‖g‖, the global norm of the gradient before
 * clipping. @param gradients flat, of each part @param changed what becomes of a part's parameters after the optimizer
 */
export function update(
  parts: readonly StatePart[],
  gradients: readonly AnyTensor[],
  scalars: Readonly<Record<string, AnyTensor>>,
  { optimizer, clipNorm }: UpdateOptions,
  changed: (p: AnyTensor, part: Part) => AnyTensor = p => p,
) {
  const norm = sqrt(gradients.map(g => sum(mul(g, g))).reduce((a, b) => add(a, b)))
  const scale = clipNorm === undefined ? undefined : clipFactor(norm, clipNorm)
  const next = new Map<Part, Record<string, AnyTensor>>()
  parts.forEach(({ part, now: { params, [EMA]: average, ...moments } }, i) => {
    const g = scale ? mul(gradients[i]!, scale) : gradients[i]!
    const factors = factorsOf(part, optimizer.grouping)
    const updated = optimizer.update({ p: params!, g, state: moments, scalars, ...factors })
    const p = changed(updated.p, part)
    // a ← d a + (1 − d) p
    const values: Record<string, AnyTensor> = { params: p, ...updated.state }
    // a ← d a + (1 − d) p
    if (average) values[EMA] = add(average, mul(sub(p, average), scalars[EMA_RATE]!))
    next.set(part, values)
  })
  return { next, norm }
}

/** min(1, limit / ‖g‖), what torch.nn.utils.clip_grad_norm_ multiplies all gradients by. */
const clipFactor = (norm: AnyTensor, limit: number): AnyTensor =>
  minimum(div(constant(limit, norm.dtype, []), add(norm, 1e-6)), 1)
