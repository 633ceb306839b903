import { ShapeError } from '../graph/errors.ts'
import { sizeOf } from '../graph/leaf.ts'
import { op, type TensorType } from '../graph/node.ts'
import { f32, sample } from '../graph/sample.ts'
import { product, show } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { add, div, mul, neg, reciprocal, sqrt, sub } from './elementwise.ts'
import { reshape } from './layout.ts'
import { batchNorm as normalizeBatch } from './norm.ts'
import { mean, sum, variance } from './reduce.ts'

/** Axes that a batch norm reduces: all but the channels. */
const others = (x: AnyTensor): number[] => [...x.shape.keys()].filter(i => i !== 1)

/** `[c]` as it broadcasts against `[n, c, ...]`. */
const perChannel = (v: AnyTensor, x: AnyTensor): AnyTensor =>
  reshape(v, [v.shape[0]!, ...x.shape.slice(2).map(() => 1)])

export const BatchNormalization = op('BatchNormalization', {
  attrs: { epsilon: { kind: 'float' }, momentum: { kind: 'float' } },
  infer: ([x, ...rest]: readonly TensorType[], _: { epsilon: number; momentum: number }) => {
    const channels = x!.shape[1]
    for (const [i, what] of ['weight', 'bias', 'running mean', 'running variance'].entries())
      if (rest[i]!.shape.length !== 1 || rest[i]!.shape[0] !== channels)
        throw new ShapeError(
          `batchNorm: ${what} ${show(rest[i]!.shape)} does not fit the ${channels} channels of ${show(x!.shape)}`,
        )
    return [x!]
  },
  // With fixed statistics, x̂ = (x − μ) r, r = 1/√(σ² + ε): dx = γ r dy, dγ = Σ x̂ dy, dβ = Σ dy, dμ = −γ r Σ dy,
  // dσ² = −γ r² / 2 Σ x̂ dy
  vjp: ({ x: [x, weight, , mu, v], dy, attrs: { epsilon } }) => {
    const r = reciprocal(sqrt(add(v!, epsilon)))
    const gain = mul(weight!, r)
    const xhat = mul(sub(x!, perChannel(mu!, x!)), perChannel(r, x!))
    const [slopes, total] = [sum(mul(dy, xhat), others(x!)), sum(dy, others(x!))]
    return [
      mul(dy, perChannel(gain, x!)),
      slopes,
      total,
      neg(mul(gain, total)),
      mul(mul(gain, r), mul(slopes, -0.5)),
    ]
  },
  // While training: the batch's own statistics, which are also mixed into the running ones (the variance unbiased).
  training: ([x, weight, bias, mu, v], { epsilon, momentum }) => {
    const axes = others(x!)
    const n = sizeOf(product(axes.map(a => x!.shape[a]!)), x!.dtype)
    const unbiased = div(mul(variance(x!, axes), n), sub(n, 1))
    const mixed = (old: AnyTensor, now: AnyTensor) => add(mul(old, momentum), mul(now, 1 - momentum))
    return {
      outputs: [normalizeBatch(x!, weight!, bias!, epsilon)],
      buffers: [
        [3, mixed(mu!, mean(x!, axes))],
        [4, mixed(v!, unbiased)],
      ],
    }
  },
  samples: [
    sample(f32(4, 3, 5, 5), f32(3), f32(3), f32(3), f32(3).positive(), { epsilon: 1e-5, momentum: 0.9 }),
  ],
})

/**
 * Batch norm with running statistics (Ioffe & Szegedy 2015), as torch.nn.BatchNorm2d: a training step uses the
 * statistics of its batch and mixes them into the running ones, anything else uses the running ones.
 * @param x `[n, c, ...]` @param weight, bias, runningMean, runningVar `[c]`
 * @param momentum share of the batch's statistics in the new running ones
 */
export const batchNormRunning = (
  x: AnyTensor,
  weight: AnyTensor,
  bias: AnyTensor,
  runningMean: AnyTensor,
  runningVar: AnyTensor,
  { eps = 1e-5, momentum = 0.1 } = {},
): AnyTensor =>
  // ONNX counts the share that stays, PyTorch the share that is new.
  BatchNormalization.apply([x, weight, bias, runningMean, runningVar], {
    epsilon: eps,
    momentum: 1 - momentum,
  })
