import { attr } from '../graph/attributes.ts'
import { FLOATS } from '../graph/dtype.ts'
import { example } from '../graph/example.ts'
import { channels } from '../graph/images.ts'
import { sizeOf } from '../graph/leaf.ts'
import { op, sameDType } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import { product } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import type { BatchNormRunningFn } from '../graph/typed/image-signatures.ts'
import { typed } from '../graph/typed/signatures.ts'
import { add, div, maximum, mul, neg, reciprocal, sqrt, sub } from './elementwise.ts'
import { reshape } from './layout.ts'
import { mean, sum, variance } from './reduce.ts'

/** Axes that a batch norm reduces: all but the channels. */
const others = (x: AnyTensor): number[] => [...x.shape.keys()].filter(i => i !== 1)

/** `[c]` as it broadcasts against `[n, c, ...]`. */
const perChannel = (v: AnyTensor, x: AnyTensor): AnyTensor =>
  reshape(v, [v.shape[0], ...x.shape.slice(2).map(() => 1)])

const BatchNormalization = op('BatchNormalization', {
  inputs: ['X', 'scale', 'B', 'input_mean', 'input_var'],
  buffers: ['input_mean', 'input_var'],
  attrs: { epsilon: attr.float({ default: 1e-5 }), momentum: attr.float({ default: 0.9 }) },
  neutral: { training_mode: 0 },
  infer: ([x, ...rest]) => {
    for (const t of [x, ...rest]) sameDType('batchNorm', [t], FLOATS)
    const [weight, bias, mu, v] = rest
    channels('batchNorm', x.shape, {
      weight: weight.shape,
      bias: bias.shape,
      'running mean': mu.shape,
      'running variance': v.shape,
    })
    return [x]
  },
  // With fixed statistics, x̂ = (x − μ) r, r = 1/√(σ² + ε): dx = γ r dy, dγ = Σ x̂ dy, dβ = Σ dy, dμ = −γ r Σ dy,
  // dσ² = −γ r² / 2 Σ x̂ dy
  vjp: ({ x: [x, weight, , mu, v], dy, attrs: { epsilon } }) => {
    const r = reciprocal(sqrt(add(v, epsilon)))
    const gain = mul(weight, r)
    const xhat = mul(sub(x, perChannel(mu, x)), perChannel(r, x))
    const [slopes, total] = [sum(mul(dy, xhat), others(x)), sum(dy, others(x))]
    return [
      mul(dy, perChannel(gain, x)),
      slopes,
      total,
      neg(mul(gain, total)),
      mul(mul(gain, r), mul(slopes, -0.5)),
    ]
  },
  samples: [
    sample(f32(4, 3, 5, 5), f32(3), f32(3), f32(3), f32(3).positive(), { epsilon: 1e-5, momentum: 0.9 }),
  ],
})

/**
 * Batch norm with given statistics (Ioffe & Szegedy 2015), like torch.nn.BatchNorm2d in evaluation mode.
 * @param x `[n, c, ...]` @param weight, bias, mean, variance `[c]`
 */
export const batchNormRunning: BatchNormRunningFn = typed(
  (
    x: AnyTensor,
    weight: AnyTensor,
    bias: AnyTensor,
    runningMean: AnyTensor,
    runningVar: AnyTensor,
    { eps = 1e-5 }: { readonly eps?: number } = {},
  ): AnyTensor =>
    BatchNormalization.apply([x, weight, bias, runningMean, runningVar], { epsilon: eps, momentum: 0.9 }),
  t => [t(4, 3, 2, 2), t(3), t(3), t(3), t(3)],
)

/**
 * New running statistics after a batch, like torch.nn.BatchNorm2d: the batch's mean and (unbiased) variance with weight `momentum`,
 * the previous values with the rest. @param x `[n, c, ...]` @param runningMean, runningVar `[c]`
 */
export const runningStatistics = (
  x: AnyTensor,
  runningMean: AnyTensor,
  runningVar: AnyTensor,
  momentum = 0.1,
): { readonly mean: AnyTensor; readonly variance: AnyTensor } => {
  const axes = others(x)
  const n = sizeOf(product(axes.map(a => x.shape[a])), x.dtype)
  // A single value has no variance; 0 / 0 must not become a part of the running one.
  const unbiased = div(mul(variance(x, axes), n), maximum(sub(n, 1), 1))
  const mixed = (old: AnyTensor, now: AnyTensor) => add(mul(old, 1 - momentum), mul(now, momentum))
  return { mean: mixed(runningMean, mean(x, axes)), variance: mixed(runningVar, unbiased) }
}
example(runningStatistics, t => [t(4, 3, 2, 2), t(3), t(3)])

export default { BatchNormalization }
