import { constant } from '../graph/leaf.ts'
import { lookup } from '../graph/present.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import type { Part } from '../nn/layout.ts'
import { add, div, minimum, mul, sqrt, sub } from '../ops/elementwise.ts'
import { sum } from '../ops/reduce.ts'
import { EMA, EMA_RATE, emaDecay } from './ema.ts'
import { factorsOf } from './groups.ts'
import { lateOf, lateScalars } from './late.ts'
import type { Optimizer } from './optimizer.ts'

/** What goes into every update as scalars: the optimizer's, and the decay of the average where there is one. */
export interface UpdateOptions {
  readonly optimizer: Optimizer
  /** Largest global norm of the gradient (Pascanu et al. 2013); larger ones are scaled down. Above 0. */
  readonly clipNorm?: number | undefined
  /** Decay of a moving average of the parameters, kept as the vector `ema`. In (0, 1). */
  readonly ema?: number | undefined
}

/** A part of the parameters that an update changes, with its vectors: flat `[P]`, each moment by name. */
export interface UpdatePart {
  readonly part: Part
  readonly params: AnyTensor
  readonly moments: Readonly<Record<string, AnyTensor>>
  readonly gradient: AnyTensor
}

/** Vectors that an update keeps beside the parameters. */
export const momentNames = ({ optimizer, ema }: UpdateOptions): string[] => [
  ...optimizer.state,
  ...(ema === undefined ? [] : [EMA]),
]

/** Values of an update's scalars. @param step counted from 1 @param lr the scheduled learning rate */
export const scalarValues = (
  { optimizer, ema }: UpdateOptions,
  step: number,
  lr: number,
): Readonly<Record<string, number>> => ({
  ...optimizer.scalars(step, lr),
  ...lateScalars(optimizer, step, lr),
  ...(ema === undefined ? {} : { [EMA_RATE]: 1 - emaDecay(ema, step) }),
})

/** The new vectors of a part. */
export interface UpdatedPart {
  readonly params: AnyTensor
  readonly moments: Readonly<Record<string, AnyTensor>>
}

/**
 * One update of all parts, by the optimizer: new values of every vector, and ‖g‖, the global norm of the gradient before
 * clipping.
 */
export function update(
  parts: readonly UpdatePart[],
  scalars: Readonly<Record<string, AnyTensor>>,
  { optimizer, clipNorm }: UpdateOptions,
): { readonly next: readonly UpdatedPart[]; readonly norm: AnyTensor } {
  const begun = parts.map(part => {
    const late = lateOf(part.part, optimizer, scalars)
    return { ...part, late, gradient: late.gradient(part.gradient) }
  })
  const norm = sqrt(begun.map(({ gradient: g }) => sum(mul(g, g))).reduce((a, b) => add(a, b)))
  const scale = clipNorm === undefined ? undefined : clipFactor(norm, clipNorm)
  const next = begun.map((own): UpdatedPart => {
    const { part, params, gradient, late } = own
    const { [EMA]: average, ...state } = own.moments
    const g = scale ? mul(gradient, scale) : gradient
    const factors = factorsOf(part, optimizer.grouping)
    const updated = optimizer.update({ p: params, g, state, scalars: late.scalars, ...factors })
    const p = late.gated(updated.p, params)
    const moments = Object.fromEntries(
      Object.entries(updated.state).map(([name, t]) => [name, late.gated(t, lookup(state, name))]),
    )
    // a ← d a + (1 − d) p
    const averaged = average && { [EMA]: add(average, mul(sub(p, average), lookup(scalars, EMA_RATE))) }
    return { params: p, moments: { ...moments, ...averaged } }
  })
  return { next, norm }
}

/** min(1, limit / ‖g‖), what torch.nn.utils.clip_grad_norm_ multiplies all gradients by. */
const clipFactor = (norm: AnyTensor, limit: number): AnyTensor =>
  minimum(div(constant(limit, norm.dtype, []), add(norm, 1e-6)), 1)
