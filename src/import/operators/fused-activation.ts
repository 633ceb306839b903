import type { AnyTensor } from '../../graph/tensor.ts'
import { elu, leakyRelu, softplus, softsign } from '../../ops/activation.ts'
import { clip, relu, sigmoid, tanh } from '../../ops/elementwise.ts'
import { hardSigmoid } from '../../ops/rectifiers.ts'

interface Fused {
  readonly of: (y: AnyTensor, a: number, b: number) => AnyTensor
  /** Of the parameters. */
  readonly defaults?: readonly number[]
}

/** Functions that onnxruntime's optimizer moves into the product or convolution before them. */
const ACTIVATIONS = {
  '': { of: y => y },
  Relu: { of: y => relu(y) },
  LeakyRelu: { of: (y, alpha) => leakyRelu(y, alpha), defaults: [0.01] },
  Elu: { of: (y, alpha) => elu(y, alpha), defaults: [1] },
  Sigmoid: { of: y => sigmoid(y) },
  HardSigmoid: { of: (y, alpha, beta) => hardSigmoid(y, alpha, beta), defaults: [0.2, 0.5] },
  Tanh: { of: y => tanh(y) },
  Softplus: { of: y => softplus(y) },
  Softsign: { of: y => softsign(y) },
  Clip: {
    of: (y, least, most) => clip(y, least, most),
    defaults: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
  },
} as const satisfies Record<string, Fused>

/** `activation(y)`. @param parameters undefined for one that has ONNX's default */
export function activated(
  y: AnyTensor,
  activation: keyof typeof ACTIVATIONS,
  parameters: readonly (number | undefined)[],
): AnyTensor {
  const { of, defaults = [] }: Fused = ACTIVATIONS[activation]
  const [a = 0, b = 0] = [0, 1].map(i => parameters[i] ?? defaults[i])
  return of(y, a, b)
}
