import { UserError } from '../graph/errors.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { add, div, mul, sign, sqrt, sub } from '../ops/elementwise.ts'

/** Values of one update: parameters, gradients and moments are flat vectors `[P]`, scalars have shape `[]`. */
export interface Update {
  readonly p: AnyTensor
  readonly g: AnyTensor
  readonly state: Readonly<Record<string, AnyTensor>>
  readonly scalars: Readonly<Record<string, AnyTensor>>
  /** 1 where weight decay applies and 0 where it does not; a scalar 1 when it applies everywhere. */
  readonly decays: AnyTensor
}

export interface Updated {
  readonly p: AnyTensor
  readonly state: Readonly<Record<string, AnyTensor>>
}

/**
 * An optimizer: a function of graphs `(p, g, state) ⇒ (p', state')`. What depends on the step number is computed in
 * TypeScript, in double precision, and enters the graph as scalars.
 */
export interface Optimizer {
  readonly name: string
  readonly settings: Readonly<Record<string, number | boolean>>
  /** Base learning rate, which a schedule scales. */
  readonly lr: number
  /** Names of the moment vectors; all start at zero. */
  readonly state: readonly string[]
  /** Scalars of a step. @param step counted from 1 @param lr the scheduled learning rate */
  readonly scalars: (step: number, lr: number) => Readonly<Record<string, number>>
  readonly update: (u: Update) => Updated
}

function positive(name: string, values: Readonly<Record<string, number>>): void {
  for (const [key, value] of Object.entries(values))
    if (!(value >= 0 && Number.isFinite(value)))
      throw new UserError(`${name}: ${key} must be a number of at least 0, not ${value}`)
}

function betas(name: string, values: readonly number[]): void {
  for (const b of values)
    if (!(b >= 0 && b < 1)) throw new UserError(`${name}: betas must be at least 0 and below 1, not ${b}`)
}

export interface SGDOptions {
  readonly lr?: number
  readonly momentum?: number
  readonly nesterov?: boolean
  readonly weightDecay?: number
}

/** Stochastic gradient descent as torch.optim.SGD: g += λ p; b = μ b + g; p −= lr · (g + μ b if Nesterov else b). */
export function sgd({
  lr = 0.1,
  momentum = 0,
  nesterov = false,
  weightDecay = 0,
}: SGDOptions = {}): Optimizer {
  positive('sgd', { lr, momentum, weightDecay })
  if (nesterov && !momentum) throw new UserError('sgd: nesterov needs a momentum above 0')
  return {
    name: 'sgd',
    settings: { lr, momentum, nesterov, weightDecay },
    lr,
    state: momentum ? ['momentum'] : [],
    scalars: (_, rate) => ({ lr: rate }),
    update({ p, g: gradient, state, scalars, decays }): Updated {
      const g = weightDecay ? add(gradient, mul(p, mul(decays, weightDecay))) : gradient
      if (!momentum) return { p: sub(p, mul(g, scalars.lr!)), state: {} }
      const b = add(mul(state.momentum!, momentum), g)
      const direction = nesterov ? add(g, mul(b, momentum)) : b
      return { p: sub(p, mul(direction, scalars.lr!)), state: { momentum: b } }
    },
  }
}

export interface AdamOptions {
  readonly lr?: number
  readonly betas?: readonly [number, number]
  readonly eps?: number
  readonly weightDecay?: number
}

/** Both Adams; `decoupled` decides where weight decay enters. */
function adaptive(name: string, decoupled: boolean, options: AdamOptions, weightDecay: number): Optimizer {
  const { lr = 1e-3, betas: [b1, b2] = [0.9, 0.999], eps = 1e-8 } = options
  positive(name, { lr, eps, weightDecay })
  betas(name, [b1, b2])
  return {
    name,
    settings: { lr, beta1: b1, beta2: b2, eps, weightDecay },
    lr,
    state: ['m', 'v'],
    // p −= lr · m̂ / (√v̂ + ε) with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ); both corrections are moved out of the vectors:
    // p −= (lr √c / (1 − β₁ᵗ)) · m / (√v + ε √c), c = 1 − β₂ᵗ
    scalars(step, rate) {
      const root = Math.sqrt(1 - b2 ** step)
      return { rate: (rate * root) / (1 - b1 ** step), eps: eps * root, decay: rate * weightDecay }
    },
    update({ p, g: gradient, state, scalars, decays }) {
      const g = weightDecay && !decoupled ? add(gradient, mul(p, mul(decays, weightDecay))) : gradient
      const m = add(mul(state.m!, b1), mul(g, 1 - b1))
      const v = add(mul(state.v!, b2), mul(mul(g, 1 - b2), g))
      const shrunk = weightDecay && decoupled ? sub(p, mul(p, mul(decays, scalars.decay!))) : p
      const step = div(mul(m, scalars.rate!), add(sqrt(v), scalars.eps!))
      return { p: sub(shrunk, step), state: { m, v } }
    },
  }
}

/** Adam (Kingma & Ba 2015) as torch.optim.Adam; `weightDecay` is added to the gradient. */
export const adam = (options: AdamOptions = {}): Optimizer =>
  adaptive('adam', false, options, options.weightDecay ?? 0)

/** AdamW (Loshchilov & Hutter 2019): decay is taken off the parameters, p −= lr · λ p. @default weightDecay 0.01 */
export const adamW = (options: AdamOptions = {}): Optimizer =>
  adaptive('adamw', true, options, options.weightDecay ?? 0.01)

export interface RMSpropOptions {
  readonly lr?: number
  readonly alpha?: number
  readonly eps?: number
  readonly momentum?: number
  readonly weightDecay?: number
}

/** RMSprop (Tieleman & Hinton 2012) as torch.optim.RMSprop: v = α v + (1 − α) g²; p −= lr · g / (√v + ε). */
export function rmsprop(options: RMSpropOptions = {}): Optimizer {
  const { lr = 1e-2, alpha = 0.99, eps = 1e-8, momentum = 0, weightDecay = 0 } = options
  positive('rmsprop', { lr, eps, momentum, weightDecay })
  betas('rmsprop', [alpha])
  return {
    name: 'rmsprop',
    settings: { lr, alpha, eps, momentum, weightDecay },
    lr,
    state: momentum ? ['v', 'momentum'] : ['v'],
    scalars: (_, rate) => ({ lr: rate }),
    update({ p, g: gradient, state, scalars, decays }): Updated {
      const g = weightDecay ? add(gradient, mul(p, mul(decays, weightDecay))) : gradient
      const v = add(mul(state.v!, alpha), mul(mul(g, 1 - alpha), g))
      const direction = div(g, add(sqrt(v), eps))
      if (!momentum) return { p: sub(p, mul(direction, scalars.lr!)), state: { v } }
      const b = add(mul(state.momentum!, momentum), direction)
      return { p: sub(p, mul(b, scalars.lr!)), state: { v, momentum: b } }
    },
  }
}

export interface AdagradOptions {
  readonly lr?: number
  readonly eps?: number
  readonly weightDecay?: number
}

/** Adagrad (Duchi, Hazan & Singer 2011) as torch.optim.Adagrad: s += g²; p −= lr · g / (√s + ε). */
export function adagrad({ lr = 1e-2, eps = 1e-10, weightDecay = 0 }: AdagradOptions = {}): Optimizer {
  positive('adagrad', { lr, eps, weightDecay })
  return {
    name: 'adagrad',
    settings: { lr, eps, weightDecay },
    lr,
    state: ['sum'],
    scalars: (_, rate) => ({ lr: rate }),
    update({ p, g: gradient, state, scalars, decays }) {
      const g = weightDecay ? add(gradient, mul(p, mul(decays, weightDecay))) : gradient
      const sum = add(state.sum!, mul(g, g))
      return { p: sub(p, div(mul(g, scalars.lr!), add(sqrt(sum), eps))), state: { sum } }
    },
  }
}

export interface LionOptions {
  readonly lr?: number
  readonly betas?: readonly [number, number]
  readonly weightDecay?: number
}

/** Lion (Chen et al. 2023): p −= lr · (sign(β₁ m + (1 − β₁) g) + λ p); m = β₂ m + (1 − β₂) g. */
export function lion({
  lr = 1e-4,
  betas: [b1, b2] = [0.9, 0.99],
  weightDecay = 0,
}: LionOptions = {}): Optimizer {
  positive('lion', { lr, weightDecay })
  betas('lion', [b1, b2])
  return {
    name: 'lion',
    settings: { lr, beta1: b1, beta2: b2, weightDecay },
    lr,
    state: ['m'],
    scalars: (_, rate) => ({ lr: rate, decay: rate * weightDecay }),
    update({ p, g, state, scalars, decays }) {
      const direction = sign(add(mul(state.m!, b1), mul(g, 1 - b1)))
      const shrunk = weightDecay ? sub(p, mul(p, mul(decays, scalars.decay!))) : p
      return {
        p: sub(shrunk, mul(direction, scalars.lr!)),
        state: { m: add(mul(state.m!, b2), mul(g, 1 - b2)) },
      }
    },
  }
}

/** Optimizers that programs know by name. */
export const OPTIMIZERS = { adam, adamw: adamW, sgd, rmsprop, adagrad, lion } as const
