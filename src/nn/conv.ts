import { UserError } from '../graph/errors.ts'
import { parameter } from '../graph/leaf.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import type { RunningOptions } from '../graph/typed/image-signatures.ts'
import { typed } from '../graph/typed/signatures.ts'
import { batchNormRunning, runningStatistics } from '../ops/batch-norm.ts'
import { conv2d as conv2dOp } from '../ops/conv.ts'
import { whenTraining } from '../ops/mode.ts'
import { batchNorm, groupNorm as groupNormOp } from '../ops/norm.ts'
import { assign, buffer } from './buffer.ts'
import { layer } from './layer.ts'
import type { Conv2dOptions, MakeBatchNorm2d, MakeConv2d, MakeGroupNorm } from './signatures.ts'

export type { Conv2dOptions }

const filled = (value: number) => ({ kind: 'constant', value }) as const

/** Numbers that one output of a convolution is summed from. */
export const fanIn = (channels: number, kernel: number, groups = 1): number =>
  (channels / groups) * kernel ** 2

/**
 * 2-D convolution with a square kernel, like torch.nn.Conv2d: `[B, inputs, H, W]` → `[B, outputs, H', W']`; weight
 * `[outputs, inputs / groups, kernel, kernel]`.
 * @throws UserError when `groups` does not divide the channels
 */
export const conv2d: MakeConv2d = typed(
  (
    inputs: number,
    outputs: number,
    kernel: number,
    { bias = true, init, ...options }: Conv2dOptions = {},
  ) => {
    const { groups = 1 } = options
    for (const [what, channels] of Object.entries({ input: inputs, output: outputs }))
      if (channels % groups)
        throw new UserError(`conv2d: ${channels} ${what} channels are not divisible by groups ${groups}`)
    const uniform = { kind: 'uniform', bound: 1 / Math.sqrt(fanIn(inputs, kernel, groups)) } as const
    const shape = [outputs, inputs / groups, kernel, kernel]
    return layer(
      {
        weight: parameter(shape, init ?? uniform),
        ...(bias ? { bias: parameter([outputs], uniform, { decay: false }) } : {}),
      },
      (self, x: AnyTensor): AnyTensor => conv2dOp(x, self.weight, self.bias, options),
    )
  },
)

/**
 * Batch norm per channel, like torch.nn.BatchNorm2d: `[B, channels, H, W]`. A training step uses its batch's statistics and updates
 * the running ones with weight `momentum`; evaluation and prediction use the running statistics.
 */
export const batchNorm2d: MakeBatchNorm2d = typed(
  (channels: number, { eps = 1e-5, momentum = 0.1 }: RunningOptions = {}) =>
    layer(
      {
        weight: parameter([channels], filled(1), { decay: false }),
        bias: parameter([channels], filled(0), { decay: false }),
        running_mean: buffer([channels]),
        running_var: buffer([channels], filled(1)),
      },
      (self, x: AnyTensor): AnyTensor => {
        const answer = batchNormRunning(x, self.weight, self.bias, self.running_mean, self.running_var, {
          eps,
        })
        const next = runningStatistics(x, self.running_mean, self.running_var, momentum)
        assign(self.running_mean, next.mean)
        assign(self.running_var, next.variance)
        return whenTraining(batchNorm(x, self.weight, self.bias, eps), answer)
      },
    ),
)

/**
 * Layer norm over each of `groups` equal groups of channels, like torch.nn.GroupNorm: `[B, channels, ...]`.
 * @throws UserError when `groups` does not divide the channels
 */
export const groupNorm: MakeGroupNorm = typed((groups: number, channels: number, eps = 1e-5) => {
  if (channels % groups)
    throw new UserError(`groupNorm: ${channels} channels are not divisible by groups ${groups}`)
  return layer(
    {
      weight: parameter([channels], filled(1), { decay: false }),
      bias: parameter([channels], filled(0), { decay: false }),
    },
    (self, x: AnyTensor) => groupNormOp(x, groups, self.weight, self.bias, eps),
  )
})
