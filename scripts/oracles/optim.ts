import { constant, input } from '../../src/graph/leaf.ts'
import { lookup, nth, present } from '../../src/graph/present.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { concat, fill, reshape, select } from '../../src/ops/index.ts'
import { adagrad, adam, adamW, type Optimizer, rmsprop, sgd } from '../../src/optim/optimizer.ts'
import { constantRate, cosine, oneCycle, type Schedule, stepDecay } from '../../src/optim/schedule.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import { type Attrs, type Check, type Comparison, given, relativeError } from './case.ts'

/** Largest relative error of the learning rates and of the parameters after every step. */
const LIMIT = 1e-9

const adamOptions = ({ lr, betas, eps, weight_decay: weightDecay }: Attrs) =>
  given({ lr, betas, eps, weightDecay })

const sgdOptions = ({ lr, max_lr, momentum, nesterov, weight_decay: weightDecay }: Attrs) =>
  given({ lr: lr ?? max_lr, momentum, nesterov, weightDecay })

/** By the first word of the case's name; `sched` cases are SGD under a schedule. */
const OPTIMIZER: Readonly<Record<string, (attrs: Attrs) => Optimizer>> = {
  sgd: attrs => sgd(sgdOptions(attrs)),
  sched: attrs => sgd(sgdOptions(attrs)),
  adam: attrs => adam(adamOptions(attrs)),
  adamw: attrs => adamW(adamOptions(attrs)),
  rmsprop: ({ lr, alpha, eps }) => rmsprop(given({ lr, alpha, eps })),
  adagrad: ({ lr, eps }) => adagrad(given({ lr, eps })),
}

const SCHEDULE: Readonly<Record<string, (attrs: Attrs) => Schedule>> = {
  constant: () => constantRate(),
  cosine: () => cosine(),
  one_cycle: () => oneCycle(),
  step: ({ step_size, gamma }) =>
    stepDecay({ every: present(step_size, 'step_size'), gamma: present(gamma, 'gamma') }),
}

/** All steps of an optimizer on a given sequence of gradients, unrolled into one graph. */
function unroll(
  optimizer: Optimizer,
  rates: readonly number[],
  p0: AnyTensor,
  gradients: AnyTensor,
): AnyTensor {
  const n: number = p0.shape[0]
  let p = p0
  let state = Object.fromEntries(optimizer.state.map(name => [name, fill(0, p0.dtype, [n])]))
  const trace = rates.map((rate, i) => {
    const scalars = Object.fromEntries(
      Object.entries(optimizer.scalars(i + 1, rate)).map(([name, v]) => [name, constant(v, p0.dtype, [])]),
    )
    const g = select(gradients, 0, i)
    const next = optimizer.update({ p, g, state, scalars, decays: constant(1, p0.dtype, []) })
    p = next.p
    state = { ...next.state }
    return reshape(p, [1, n])
  })
  return concat(trace, 0)
}

/** Learning rates and parameters after every step, for the gradients of the file. */
export const checkOptimizer: Check = async ({ name, tensors, metadata, attrs, unread }, runtime) => {
  const make = OPTIMIZER[nth(name.split('_'), 0)]
  if (!make) return { skipped: `optimizer ${name} is not implemented` }
  const optimizer = make(attrs)
  const schedule = SCHEDULE[attrs.schedule ?? 'constant']?.(attrs)
  if (!schedule) return { skipped: `schedule ${attrs.schedule} is not implemented` }
  const [p0, g] = [lookup(tensors, 'p0'), lookup(tensors, 'g')]
  const [steps, n] = [nth(g.shape, 0), nth(g.shape, 1)]
  const total = Number(attrs.steps ?? steps)
  if (unread().length) return { skipped: `${name} with ${metadata.attrs} is not implemented` }

  const rates = Array.from({ length: steps }, (_, i) => optimizer.lr * schedule.at(i, total))
  const trace = unroll(optimizer, rates, input('p0', p0.dtype, [n]), input('g', g.dtype, [steps, n]))
  const got = await evaluate(runtime, { p: trace }, { p0: p0.data, g: g.data })
  const compare = (what: string, error: number): Comparison => ({ what, error, limit: LIMIT })
  return {
    comparisons: [
      compare('lr', relativeError(rates, lookup(tensors, 'lr').data)),
      compare('p', relativeError(lookup(got, 'p').data, lookup(tensors, 'p').data)),
    ],
  }
}
