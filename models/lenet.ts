import { UserError } from '../src/graph/errors.ts'
import { conv2d } from '../src/nn/conv.ts'
import { linear } from '../src/nn/layers.ts'
import { imageInput, model } from '../src/nn/model.ts'
import { relu } from '../src/ops/elementwise.ts'
import { reshape } from '../src/ops/layout.ts'
import { maxPool2d } from '../src/ops/pool.ts'
import { checkSizes } from './config.ts'

/** Configuration of `lenet`. */
export interface LeNetConfig {
  /** Height and width of the (square) image in pixels, at least 12. */
  readonly image: number
  /** Channels of the image: 1 for grayscale, 3 for RGB. */
  readonly channels: number
  /** Number of classes. */
  readonly classes: number
}

/**
 * LeNet-5 (LeCun et al. 1998) as it is trained today, with ReLU, max pooling and full connections:
 * `[B, channels, image, image]` → logits `[B, classes]`. As in the paper, the first convolution sees an image of 28
 * pixels with a border of 2.
 * @throws UserError for a configuration that cannot be built, with its numbers
 */
export const lenet = (config: LeNetConfig) => {
  const { image, channels, classes } = config
  checkSizes('lenet', { image, channels, classes })
  if (image < 12)
    throw new UserError(
      `lenet: an image of ${image} pixels is too small for its convolutions; use at least 12`,
    )
  const side = Math.floor((Math.floor(image / 2) - 4) / 2) // 28 → 28, pooled to 14 → 10, pooled to 5
  return model({
    name: 'lenet',
    config,
    inputs: { image: imageInput(channels, image) },
    layers: {
      conv1: conv2d(channels, 6, 5, { padding: 2 }),
      conv2: conv2d(6, 16, 5),
      fc1: linear(16 * side ** 2, 120),
      fc2: linear(120, 84),
      fc3: linear(84, classes),
    },
    forward: (self, { image: x }) => {
      const strokes = maxPool2d(relu(self.conv1(x)), 2) // [B, 6, image / 2, image / 2]
      const shapes = maxPool2d(relu(self.conv2(strokes)), 2) // [B, 16, side, side]
      const flat = reshape(shapes, [x.shape[0], 16 * side ** 2])
      return { logits: self.fc3(relu(self.fc2(relu(self.fc1(flat))))) }
    },
  })
}
