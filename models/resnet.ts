import { nth } from '../src/graph/present.ts'
import type { AnyTensor } from '../src/graph/tensor.ts'
import { batchNorm2d, conv2d } from '../src/nn/conv.ts'
import { layer, type UnaryLayer } from '../src/nn/layer.ts'
import { linear } from '../src/nn/layers.ts'
import { imageInput, model } from '../src/nn/model.ts'
import { add, relu } from '../src/ops/elementwise.ts'
import { globalAvgPool2d, maxPool2d } from '../src/ops/pool.ts'
import { checkResNet, type ResNetConfig } from './resnet-config.ts'

export type { ResNetConfig }

/** Convolution without bias that keeps the size at stride 1, initialized by its fan-out (He et al. 2015), as in torchvision. */
const conv = (inputs: number, outputs: number, kernel: number, stride = 1) => {
  const init = { kind: 'normal', std: Math.sqrt(2 / (outputs * kernel ** 2)) } as const
  return conv2d(inputs, outputs, kernel, { stride, padding: Math.floor(kernel / 2), bias: false, init })
}

/** Input of a block in the shape of its output: a 1×1 convolution and a norm, where the shapes differ. */
const shortcut = (inputs: number, outputs: number, stride: number) => {
  if (inputs === outputs && stride === 1) return { parts: {}, skip: (x: AnyTensor): AnyTensor => x }
  const [project, norm] = [conv(inputs, outputs, 1, stride), batchNorm2d(outputs)]
  return { parts: { downsample: [project, norm] }, skip: (x: AnyTensor): AnyTensor => norm(project(x)) }
}

/** Two 3×3 convolutions: `[B, inputs, H, W]` → `[B, width, H / stride, W / stride]`. */
const basic = (inputs: number, width: number, stride: number): UnaryLayer => {
  const { parts, skip } = shortcut(inputs, width, stride)
  return layer(
    {
      conv1: conv(inputs, width, 3, stride),
      bn1: batchNorm2d(width),
      conv2: conv(width, width, 3),
      bn2: batchNorm2d(width),
      ...parts,
    },
    (self, x: AnyTensor) => {
      const y = relu(self.bn1(self.conv1(x)))
      return relu(add(self.bn2(self.conv2(y)), skip(x)))
    },
  )
}

/** Convolutions of 1×1, 3×3 (which has the stride) and 1×1 pixels: `[B, inputs, H, W]` → `[B, 4 width, H / stride, W / stride]`. */
const bottleneck = (inputs: number, width: number, stride: number): UnaryLayer => {
  const { parts, skip } = shortcut(inputs, 4 * width, stride)
  return layer(
    {
      conv1: conv(inputs, width, 1),
      bn1: batchNorm2d(width),
      conv2: conv(width, width, 3, stride),
      bn2: batchNorm2d(width),
      conv3: conv(width, 4 * width, 1),
      bn3: batchNorm2d(4 * width),
      ...parts,
    },
    (self, x: AnyTensor) => {
      const y = relu(self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))))
      return relu(add(self.bn3(self.conv3(y)), skip(x)))
    },
  )
}

const BLOCKS = { basic: { make: basic, growth: 1 }, bottleneck: { make: bottleneck, growth: 4 } } as const

/** Stages of blocks, `layer1` …; each after the first halves the image. */
function stages({ block, layers, widths = [64, 128, 256, 512] }: ResNetConfig) {
  const { make, growth } = BLOCKS[block]
  let channels = nth(widths, 0)
  return layers.map((count, stage) => {
    const width = nth(widths, stage)
    return Array.from({ length: count }, (_, i) => {
      const made = make(channels, width, stage && !i ? 2 : 1)
      channels = growth * width
      return made
    })
  })
}

/**
 * Residual network (He et al. 2016, with the stride of a bottleneck in its 3×3 convolution):
 * `[B, channels, image, image]` → logits `[B, classes]`. Names and shapes of parameters and running statistics are those of
 * torchvision's and timm's `resnet`.
 * @throws UserError for a configuration that cannot be built, with its numbers
 */
export const resnet = (config: ResNetConfig) => {
  checkResNet(config)
  const { image, channels, block, classes, stem = 'imagenet', widths = [64, 128, 256, 512] } = config
  const large = stem === 'imagenet'
  const first = nth(widths, 0)
  const made = stages(config)
  const features = BLOCKS[block].growth * nth(widths, made.length - 1)
  return model({
    name: 'resnet',
    config,
    inputs: { image: imageInput(channels, image) },
    layers: {
      conv1: large ? conv(channels, first, 7, 2) : conv(channels, first, 3),
      bn1: batchNorm2d(first),
      ...Object.fromEntries(made.map((blocks, i) => [`layer${i + 1}`, blocks])),
      fc: linear(features, classes),
    },
    forward: (self, { image: x }) => {
      const map = relu(self.bn1(self.conv1(x)))
      const pooled: AnyTensor = large ? maxPool2d(map, 3, { stride: 2, padding: 1 }) : map
      const maps = made.flat().reduce((y, residual) => residual(y), pooled) // [B, features, h, w]
      return { logits: self.fc(globalAvgPool2d(maps)) as AnyTensor } // [B, classes]
    },
  })
}
