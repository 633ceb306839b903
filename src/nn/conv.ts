import { UserError } from '../graph/errors.ts'
import { type Init, parameter } from '../graph/leaf.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { batchNormRunning } from '../ops/batch-norm.ts'
import { conv2d as conv2dOp } from '../ops/conv.ts'
import type { WindowOptions } from '../ops/window.ts'
import { layer } from './layer.ts'

export interface Conv2dOptions extends WindowOptions {
  /** Groups of channels that are convolved apart; divides both counts of channels. @default 1 */
  readonly groups?: number
  /** Adds a learned number to each output channel. @default true */
  readonly bias?: boolean
  /** How the weight starts. @default uniform in ±1 / √fan-in, as in PyTorch */
  readonly init?: Init
}

/** Numbers that one output of a convolution is summed from. */
export const fanIn = (channels: number, kernel: number, groups = 1): number =>
  (channels / groups) * kernel ** 2

/**
 * 2-D convolution with a square kernel, as torch.nn.Conv2d: `[B, inputs, H, W]` → `[B, outputs, H', W']`; weight
 * `[outputs, inputs / groups, kernel, kernel]`.
 * @throws UserError when `groups` does not divide the channels
 */
export const conv2d = (
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
}

/**
 * Batch norm of each channel, as torch.nn.BatchNorm2d: `[B, channels, H, W]`; a training step uses the statistics of
 * its batch and mixes a share `momentum` of them into the running ones, which everything else uses.
 */
export const batchNorm2d = (channels: number, { eps = 1e-5, momentum = 0.1 } = {}) => {
  const filled = (value: number) => ({ kind: 'constant', value }) as const
  return layer(
    {
      weight: parameter([channels], filled(1), { decay: false }),
      bias: parameter([channels], filled(0), { decay: false }),
      running_mean: parameter([channels], filled(0), { buffer: true }),
      running_var: parameter([channels], filled(1), { buffer: true }),
    },
    (self, x: AnyTensor) =>
      batchNormRunning(x, self.weight, self.bias, self.running_mean, self.running_var, { eps, momentum }),
  )
}
