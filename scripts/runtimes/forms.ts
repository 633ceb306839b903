import { toFloat16 } from '../../src/deploy/float16.ts'
import { parameter } from '../../src/graph/leaf.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { conv2d } from '../../src/nn/conv.ts'
import { attention, layerNorm, linear } from '../../src/nn/layers.ts'
import { type Model, model } from '../../src/nn/model.ts'
import { initialized, type TrainedModel } from '../../src/nn/trained.ts'
import * as ops from '../../src/ops/index.ts'
import { dequantize, quantize } from '../../src/ops/quantize.ts'
import type { Runtime } from '../../src/runtime/session.ts'

/** The forms that a model is deployed in. */
export type Form = 'float32' | 'float16' | 'int8'

/** Shape of the example that all forms take. */
export const DIMS = [2, 2, 8, 8] as const

/** Values of it. */
export const pixels = (): Float32Array =>
  Float32Array.from({ length: DIMS.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 7919) % 255) / 255)

/** A convolution, an attention block and a linear layer: what the architectures are made of. */
const plain = (): Model =>
  model({
    name: 'forms',
    inputs: { image: { shape: DIMS.slice(1) } },
    layers: {
      conv: conv2d(2, 8, 3, { padding: 1 }),
      norm: layerNorm(8),
      attn: attention(8, 2),
      head: linear(8, 5),
    },
    forward: (self, { image }) => {
      const seen: AnyTensor = ops.gelu(self.conv(image) as AnyTensor)
      const pooled: AnyTensor = ops.maxPool2d(seen, 2)
      const tokens: AnyTensor = ops.transpose(ops.reshape(pooled, ['batch', 8, 16]), [0, 2, 1])
      const attended = ops.add(tokens, self.attn(self.norm(tokens) as AnyTensor) as AnyTensor) as AnyTensor
      return { logits: self.head(ops.mean(attended, 1) as AnyTensor) as AnyTensor }
    },
  }) as unknown as Model

const fixed = (dtype: 'int8' | 'uint8' | 'float32', shape: readonly number[], at: (i: number) => number) => {
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => at(i))
  return parameter([...shape], { kind: 'values', values }, { dtype, buffer: true }) as AnyTensor
}

/**
 * Weights as int8 with a scale for each output channel, on axis 0 and on axis 1; activations as uint8. Of int8 activations before a pooling
 * onnxruntime 1.30 makes uint8 ones, and refuses what it has made from opset 21 on ("output_dtype INT8 does not match").
 */
const quantized = (): Model => {
  const integer = (i: number) => ((i * 37) % 255) - 127
  const layers = {
    convQ: fixed('int8', [8, 2, 3, 3], integer),
    convScale: fixed('float32', [8], i => 0.001 * (i + 1)),
    convZero: fixed('int8', [8], () => 0),
    headQ: fixed('int8', [128, 5], integer),
    headScale: fixed('float32', [5], i => 0.002 * (i + 1)),
    headZero: fixed('int8', [5], () => 0),
    zero: fixed('uint8', [], () => 128),
    scale: fixed('float32', [], () => 1 / 64),
  }
  return model({
    name: 'forms-int8',
    inputs: { image: { shape: DIMS.slice(1) } },
    layers,
    forward: (self, { image }) => {
      const passed = (x: AnyTensor): AnyTensor =>
        dequantize(quantize(x, self.scale, self.zero), self.scale, self.zero)
      const filters = dequantize(self.convQ, self.convScale, self.convZero, 0)
      const seen: AnyTensor = ops.relu(ops.conv2d(passed(image), filters, undefined, { padding: 1 }))
      const flat: AnyTensor = ops.reshape(ops.maxPool2d(passed(seen), 2), ['batch', 128])
      return {
        logits: ops.matmul(flat, dequantize(self.headQ, self.headScale, self.headZero, 1)) as AnyTensor,
      }
    },
  }) as unknown as Model
}

/** The forms of a model by name. @param runtime computes the weights of float16 */
export async function forms(runtime: Runtime): Promise<Readonly<Record<Form, TrainedModel>>> {
  const float32 = initialized(plain(), 1)
  return { float32, float16: await toFloat16(runtime, float32), int8: initialized(quantized(), 1) }
}
