/** Ops on images and layers that must not compile, as in `refused.ts`. */
import { vit } from '../../models/vit.ts'
import {
  attention,
  batchNorm2d,
  conv2d,
  embedding,
  encoderBlock,
  feedForward,
  groupNorm,
  layer,
  layerNorm,
  linear,
  patchEmbed,
} from '../../src/nn/index.ts'
import * as ops from '../../src/ops/index.ts'
import { f32 } from './expected.ts'

const x = f32('batch', 17, 64)
const lecture = {
  image: 28,
  channels: 1,
  patch: 7,
  dim: 64,
  depth: 1,
  heads: 4,
  mlp: 128,
  classes: 10,
} as const
const image = f32('batch', 3, 32, 32)
const parts = { fc: linear(64, 64) }
const block = layer(parts, ['B', 'T', 64], (self, x) => self.fc(x))
const square = layer({}, ['B', 'N', 'N'], (_, x) => ({ x }))

export const refusedLayers: readonly (() => unknown)[] = [
  // conv2d: takes [n, channels, height, width], not [batch,17,64]
  // @ts-expect-error
  () => ops.conv2d(x, f32(8, 17, 3, 3)),
  // conv2d: takes a weight [out, channels, height, width], not [8,3]
  // @ts-expect-error
  () => ops.conv2d(image, f32(8, 3)),
  // conv2d: 3 channels of [batch,3,32,32] do not fit the weight [8,4,3,3] in 1 groups
  // @ts-expect-error
  () => ops.conv2d(image, f32(8, 4, 3, 3)),
  // conv2d: c channels of [batch,c,8,8] do not fit the weight [8,3,3,3] in 1 groups
  // @ts-expect-error
  () => ops.conv2d(f32('batch', 'c', 8, 8), f32(8, 3, 3, 3)),
  // conv2d: 3 channels of [batch,3,32,32] do not fit the weight [8,3,3,3] in 2 groups
  // @ts-expect-error
  () => ops.conv2d(image, f32(8, 3, 3, 3), f32(8), { groups: 2 }),
  // conv2d: 8 output channels of the weight [8,1,3,3] are not divisible by groups 3
  // @ts-expect-error
  () => ops.conv2d(image, f32(8, 1, 3, 3), f32(8), { groups: 3 }),
  // conv2d: kernel [33,3] does not fit into [batch,3,32,32] with padding [0,0,0,0] and dilation [1,1]
  // @ts-expect-error
  () => ops.conv2d(image, f32(8, 3, 33, 3)),
  // conv2d: kernel [3,3] does not fit into [1,3,5,5] with padding [1,0,1,0] and dilation [3,3]
  // @ts-expect-error
  () => ops.conv2d(f32(1, 3, 5, 5), f32(8, 3, 3, 3), f32(8), { padding: [1, 0], dilation: 3 }),
  // conv2d: bias [3] does not fit weight [8,3,3,3]
  // @ts-expect-error
  () => ops.conv2d(image, f32(8, 3, 3, 3), f32(3)),
  // conv2d: stride must be whole and at least 1, not 0
  // @ts-expect-error
  () => ops.conv2d(image, f32(8, 3, 3, 3), f32(8), { stride: 0 }),
  // conv2d: padding must be whole and at least 0, not -1
  // @ts-expect-error
  () => ops.conv2d(image, f32(8, 3, 3, 3), f32(8), { padding: [0, -1] }),
  // maxPool2d: dilation must be whole and at least 1, not 1.5
  // @ts-expect-error
  () => ops.maxPool2d(image, 2, { stride: 1, dilation: [1, 1.5] }),
  // maxPool2d: takes [n, channels, height, width], not [batch,17,64]
  // @ts-expect-error
  () => ops.maxPool2d(x, 2),
  // maxPool2d: kernel must be whole and at least 1, not 0
  // @ts-expect-error
  () => ops.maxPool2d(image, 0),
  // maxPool2d: kernel [2,40] does not fit into [batch,3,32,32] with padding [1,1,1,1] and dilation [1,1]
  // @ts-expect-error
  () => ops.maxPool2d(image, [2, 40], { padding: 1 }),
  // avgPool2d: kernel [3,3] does not fit into [1,1,2,2] with padding [0,0,0,0] and dilation [1,1]
  // @ts-expect-error
  () => ops.avgPool2d(f32(1, 1, 2, 2), 3),
  // globalAvgPool2d: takes [n, channels, height, width], not [2,3]
  // @ts-expect-error
  () => ops.globalAvgPool2d(f32(2, 3)),
  // batchNorm: takes [n, channels, ...], not [3]
  // @ts-expect-error
  () => ops.batchNorm(f32(3), f32(3), f32(3)),
  // batchNorm: weight [4] does not fit the channels of [batch,3,32,32]
  // @ts-expect-error
  () => ops.batchNorm(image, f32(4), f32(3)),
  // batchNorm: running mean [4] does not fit the channels of [batch,3,32,32]
  // @ts-expect-error
  () => ops.batchNormRunning(image, f32(3), f32(3), f32(4), f32(3)),
  // groupNorm: dim 3 of [batch,3,32,32] does not split into 2 equal parts
  // @ts-expect-error
  () => ops.groupNorm(image, 2, f32(3), f32(3)),
  // groupNorm: bias [1] does not fit the channels of [batch,3,32,32]
  // @ts-expect-error
  () => ops.groupNorm(image, 3, f32(3), f32(1)),
  // pad: before [0,1] and after [0,1] must be one number for each axis of [batch,17,64]
  // @ts-expect-error
  () => ops.pad(x, [0, 1], [0, 1]),
  // pad: before [0,-9] and after [0,-9] remove more of [batch,17] than it has
  // @ts-expect-error
  () => ops.pad(f32('batch', 17), [0, -9], [0, -9]),

  // conv2d: 4 channels of [batch,4,8,8] do not fit the weight [8,3,3,3] in 1 groups
  // @ts-expect-error
  () => conv2d(3, 8, 3)(f32('batch', 4, 8, 8)),
  // conv2d: 3 input channels are not divisible by groups 2
  // @ts-expect-error
  () => conv2d(3, 8, 3, { padding: 1, groups: 2 }),
  // conv2d: 8 output channels are not divisible by groups 3
  // @ts-expect-error
  () => conv2d(3, 8, 3, { groups: 3 }),
  // batchNorm: weight [4] does not fit the channels of [batch,3,32,32]
  // @ts-expect-error
  () => batchNorm2d(4)(image),
  // groupNorm: 3 channels are not divisible by groups 2
  // @ts-expect-error
  () => groupNorm(2, 3),
  // groupNorm: weight [6] does not fit the channels of [batch,3,32,32]
  // @ts-expect-error
  () => groupNorm(3, 6)(image),
  // gather: indices must be int32 or int64, not float32
  // @ts-expect-error Type '"float32"' is not assignable to type 'IntType'
  () => embedding(10, 64)(x),

  // layer: [batch,17,65] does not match [B,T,64]
  // @ts-expect-error
  () => block(f32('batch', 17, 65)),
  // layer: [batch,17,63] does not match [B,T,64]
  // @ts-expect-error
  () => encoderBlock({ dim: 64, heads: 4, mlp: 128 })(f32('batch', 17, 63)),
  // layer: [17,64] does not match [B,T,64]
  // @ts-expect-error
  () => block(f32(17, 64)),
  // layer: [batch,17,n] does not match [B,T,64]
  // @ts-expect-error
  () => block(f32('batch', 17, 'n')),
  // layer: [2,17,18] does not match [B,N,N]
  // @ts-expect-error
  () => square(f32(2, 17, 18)),
  // linear: inner dims T and 64 of [B,64,T] and weight [64,64] differ
  // @ts-expect-error
  () => layer(parts, ['B', 'T', 64], ({ fc }, x) => fc(ops.transpose(x, [0, 2, 1])))(f32('B', 'T', 64)),

  // linear: inner dims 63 and 64 of [batch,63] and weight [10,64] differ
  // @ts-expect-error
  () => linear(64, 10)(f32('batch', 63)),
  // layerNorm: weight [63] does not fit the last dims of [batch,17,64]
  // @ts-expect-error
  () => layerNorm(63)(x),
  // linear: inner dims 64 and 32 of [batch,17,64] and weight [8,32] differ
  // @ts-expect-error
  () => feedForward(32, 8)(x),
  // linear: inner dims 64 and 32 of [batch,17,64] and weight [96,32] differ
  // @ts-expect-error
  () => attention(32, 4)(x),
  // reshape: [batch,3,28,28] does not fit into [batch,1,4,7,4,7]
  // @ts-expect-error
  () => patchEmbed(28, 1, 7, 64)(f32('batch', 3, 28, 28)),
  // vit: input image: takes [batch,1,28,28], not [batch,1,32,32]
  // @ts-expect-error is not assignable to type 'Tensor<"float32", ["batch", 1, 28, 28]>'
  () => vit(lecture)({ image: f32('batch', 1, 32, 32) }),
  // vit: patch 5 does not divide image 28
  // @ts-expect-error
  () => vit({ ...lecture, patch: 5 }),
  // vit: dim 64 is not divisible by heads 5
  // @ts-expect-error
  () => vit({ ...lecture, heads: 5 }),
]
