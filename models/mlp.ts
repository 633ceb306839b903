import { UserError } from '../src/graph/errors.ts'
import type { AnyTensor } from '../src/graph/tensor.ts'
import { layer } from '../src/nn/layer.ts'
import { dropout, linear } from '../src/nn/layers.ts'
import { type Model, model } from '../src/nn/model.ts'
import { relu } from '../src/ops/elementwise.ts'
import { reshape } from '../src/ops/layout.ts'

export interface MLPConfig {
  /** Height and width of the (square) image in pixels. */
  readonly image: number
  readonly channels: number
  /** Sizes of the hidden layers. */
  readonly hidden: readonly number[]
  readonly classes: number
  /** Share of activations dropped while training. @default 0 */
  readonly dropout?: number
}

/** Multi-layer perceptron on the flattened image: linear layers with ReLUs between them. */
export const mlp = (config: MLPConfig): Model<MLPConfig> => {
  const { image, channels, hidden, classes, dropout: rate = 0 } = config
  for (const size of [image, channels, ...hidden, classes])
    if (!Number.isInteger(size) || size < 1)
      throw new UserError(`mlp: sizes must be whole numbers of at least 1, not ${size}`)
  if (!(rate >= 0 && rate < 1))
    throw new UserError(`mlp: dropout must be at least 0 and below 1, not ${rate}`)
  const features = channels * image * image
  const sizes = [features, ...hidden, classes]
  const net = layer(
    { layers: sizes.slice(1).map((size, i) => linear(sizes[i]!, size)), drop: dropout(rate) },
    ({ layers, drop }, x: AnyTensor) =>
      layers.reduce((h, fc, i) => fc(i ? drop(relu(h)) : h), reshape(x, [x.shape[0], features])),
  )
  return model({ name: 'mlp', config, image: [channels, image, image], classes, net })
}
