import { UserError } from '../src/graph/errors.ts'
import { checkLayers, checkSizes, shown } from './config.ts'

/** Configuration of `resnet`. */
export interface ResNetConfig {
  /** Height and width of the (square) image in pixels. */
  readonly image: number
  /** Channels of the image: 1 for grayscale, 3 for RGB. */
  readonly channels: number
  /** Two 3×3 convolutions (ResNet-18), or a bottleneck of three that has four times as many outputs (ResNet-26, ResNet-50). */
  readonly block: 'basic' | 'bottleneck'
  /** Blocks of each stage; a stage after the first halves the image. */
  readonly layers: readonly number[]
  /** Channels of each stage's 3×3 convolutions. @default [64, 128, 256, 512] */
  readonly widths?: readonly number[]
  /** Number of classes. */
  readonly classes: number
  /**
   * First convolution: `imagenet` has 7×7 pixels and stride 2 and is followed by max pooling; `cifar` has 3×3 pixels and keeps the
   * size of the image, for images below about 64 pixels. @default 'imagenet'
   */
  readonly stem?: 'imagenet' | 'cifar'
}

/** Of all stages; far beyond ResNet-152, which has 50. */
const MOST_BLOCKS = 1024

const oneOf = (key: string, value: string, choices: readonly string[]): void => {
  if (!choices.includes(value))
    throw new UserError(`resnet: ${key} must be ${choices.join(' or ')}, not ${shown(value)}`)
}

/** @throws UserError for a configuration that cannot be built, with its numbers */
export function checkResNet(config: ResNetConfig): void {
  const { image, channels, block, layers, widths = [64, 128, 256, 512], classes, stem = 'imagenet' } = config
  checkSizes('resnet', { image, channels, classes })
  checkLayers('resnet', { layers, widths })
  oneOf('block', block, ['basic', 'bottleneck'])
  oneOf('stem', stem, ['imagenet', 'cifar'])
  if (!layers.length || layers.length > widths.length)
    throw new UserError(
      `resnet: layers has ${layers.length} stages, but widths ${widths.length}; give a width for each stage`,
    )
  const blocks = layers.reduce((a, b) => a + b, 0)
  if (blocks > MOST_BLOCKS)
    throw new UserError(`resnet: layers must have at most ${MOST_BLOCKS} blocks in all, not ${blocks}`)
}
