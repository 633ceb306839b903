/** Layers that must compile, with the exact shape of each parameter and result, as in `accepted.ts`. */
import { vit } from '../../models/vit.ts'
import type { Dim } from '../../src/graph/shape.ts'
import type { Tensor } from '../../src/graph/tensor.ts'
import * as nn from '../../src/nn/index.ts'
import * as ops from '../../src/ops/index.ts'
import { type Case, f32, i64, is } from './expected.ts'

const x = f32('batch', 17, 64)
const image = f32('batch', 3, 32, 32)

/** Layers and models know the shapes of their parameters and of what they are called with. */
export const layers = (): Case[] => {
  const fc = nn.linear(64, 10)
  const attention = nn.attention(64, 4)
  const model = vit({ image: 28, channels: 1, patch: 7, dim: 64, depth: 1, heads: 4, mlp: 128, classes: 10 })
  const conv = nn.conv2d(3, 6, 5, { stride: 2, padding: 2, groups: 3 })
  const norm = nn.batchNorm2d(3)
  const blocks = nn.encoderBlocks(2, { dim: 64, heads: 4, mlp: 128, dropPath: 0.1 })
  return [
    is(fc.weight, 'float32', [10, 64]),
    is(fc(x), 'float32', ['batch', 17, 10]),
    is(attention.qkv.weight, 'float32', [192, 64]),
    is(attention(x), 'float32', ['batch', 17, 64]),
    is(nn.feedForward(64, 128, 0.5)(nn.layerNorm(64)(x)), 'float32', ['batch', 17, 64]),
    is(nn.patchEmbed(28, 1, 7, 64)(f32('batch', 1, 28, 28)), 'float32', ['batch', 16, 64]),
    is(nn.prepend(f32(1, 1, 64), x), 'float32', ['batch', 18, 64]),
    is(model({ image: f32('batch', 1, 28, 28) }).logits, 'float32', ['batch', 10]),
    is(conv.weight, 'float32', [6, 1, 5, 5]),
    is(conv.bias, 'float32', [6]),
    is(conv(image), 'float32', ['batch', 6, 16, 16]),
    is(nn.conv2d(3, 6, 3, { padding: 1, bias: false })(f32('b', 3, 'H', 7)), 'float32', ['b', 6, 'H', 7]),
    is(norm.running_var, 'float32', [3]),
    is(norm(image), 'float32', ['batch', 3, 32, 32]),
    is(nn.groupNorm(3, 12)(f32('b', 12, 'H', 'W')), 'float32', ['b', 12, 'H', 'W']),
    is(nn.embedding(100, 64).weight, 'float32', [100, 64]),
    is(nn.embedding(100, 64)(i64('b', 17)), 'float32', ['b', 17, 64]),
    is(nn.embedding(100, 64)(i64()), 'float32', [64]),
    is(nn.encoderBlock({ dim: 64, heads: 4, mlp: 128 })(x), 'float32', ['batch', 17, 64]),
    is(
      blocks.reduce((y, block) => block(y), x),
      'float32',
      ['batch', 17, 64],
    ),
  ]
}

/** An option that is not known is refused, though the run time would not see it. */
export const unknownOptions = () => {
  // @ts-expect-error conv2d has no such option
  ops.conv2d(image, f32(8, 3, 3, 3), f32(8), { padding: 1, strides: 2 })
  // @ts-expect-error avgPool2d has no such option
  ops.avgPool2d(image, 2, { dilation: 2 })
  // @ts-expect-error conv2d has no such option
  nn.conv2d(3, 8, 3, { padding: 1, groupes: 3 })
}

/** A layer of a factory for any sizes: its body is checked for all. */
const residual = <N extends number>(dim: N) =>
  nn.layer({ norm: nn.layerNorm(dim), fc: nn.linear(dim, dim) }, ['B', 'T', dim], (self, x) =>
    ops.add(x, self.fc(self.norm(x))),
  )

/** Layers with patterns: what a symbol stands for comes back in the results. */
export const patterns = (): Case[] => {
  const tokens = nn.layer({ fc: nn.linear(64, 10) }, ['B', 'T', 64], (self, x) => ({
    logits: self.fc(x),
    parts: [ops.reshape(x, [-1, 64]), ops.concat([x, ops.pad(x, [0, 0, 0], [0, 1, 0])], 1)] as const,
    weight: self.fc.weight,
  }))
  const square = nn.layer({}, ['N', 'N'], (_, x) => ops.reshape(ops.mul(x, ops.transpose(x, [1, 0])), [-1]))
  const few = tokens(f32(2, 17, 64))
  const many = tokens(f32('n*3', 'past+1', 64))
  const swapped = tokens(f32('T', 'B', 64))
  return [
    is(few.logits, 'float32', [2, 17, 10]),
    is(few.parts[0], 'float32', [34, 64]),
    is(few.parts[1], 'float32', [2, 35, 64]),
    is(few.weight, 'float32', [10, 64]),
    is(many.logits, 'float32', ['n*3', 'past+1', 10]),
    is(many.parts[0], 'float32', [-1, 64]),
    is(many.parts[1], 'float32', ['n*3', 'past+past+3', 64]),
    is(swapped.parts[0], 'float32', ['T*B', 64]),
    is(square(f32(7, 7)), 'float32', [49]),
    is(square(f32('n', 'n')), 'float32', ['n*n']),
    is(nn.layer({}, [], (_, x) => x)(f32()), 'float32', []),
    is(residual(64)(x), 'float32', ['batch', 17, 64]),
    is(
      nn.layer({ a: residual(8) }, ['B', 'T', 8], (self, x) => self.a(x))(f32(1, 1, 8)),
      'float32',
      [1, 1, 8],
    ),
  ]
}

/** So they are through convolutions that keep the size of the image. */
export const genericImage = <B extends Dim, C extends number>(
  image: Tensor<'float32', [B, C, 'H', 'W']>,
  channels: C,
): Tensor<'float32', [B, 8, 'H', 'W']> =>
  nn.conv2d(channels, 8, 3, { padding: 1 })(nn.batchNorm2d(channels)(image))
