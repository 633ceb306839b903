import { nth } from '../src/graph/present.ts'
import type { AnyTensor } from '../src/graph/tensor.ts'
import { dropout, linear } from '../src/nn/layers.ts'
import { imageInput, model } from '../src/nn/model.ts'
import { relu } from '../src/ops/elementwise.ts'
import { reshape } from '../src/ops/layout.ts'
import { checkDropout, checkLayers, checkSizes } from './config.ts'

/** Configuration of `mlp`. */
export interface MLPConfig {
  /** Height and width of the (square) image in pixels. */
  readonly image: number
  /** Channels of the image: 1 for grayscale, 3 for RGB. */
  readonly channels: number
  /** Sizes of the hidden layers. */
  readonly hidden: readonly number[]
  /** Number of classes. */
  readonly classes: number
  /** Fraction of activations dropped in training. @default 0 */
  readonly dropout?: number
}

/** Multi-layer perceptron on the flattened image: linear layers with ReLUs between them. */
export const mlp = (config: MLPConfig) => {
  const { image, channels, hidden, classes, dropout: rate = 0 } = config
  checkSizes('mlp', { image, channels, classes })
  checkLayers('mlp', { hidden })
  checkDropout('mlp', config)
  const features = channels * image * image
  const widths = [features, ...hidden, classes]
  return model({
    name: 'mlp',
    config,
    inputs: { image: imageInput(channels, image) },
    layers: { layers: widths.slice(1).map((width, i) => linear(nth(widths, i), width)), drop: dropout(rate) },
    forward: ({ layers, drop }, { image: x }) => {
      const flat: AnyTensor = reshape(x, [x.shape[0], features])
      return { logits: layers.reduce((h, fc, i) => fc(i ? drop(relu(h)) : h), flat) }
    },
  })
}
