import convolution from './conv.ts'
import pooling from './pool.ts'
import quantization from './quantize.ts'

/** Primitives that only some models have: apart from the others, so that a page without them does not load them. */
export const { Conv } = convolution
export const { MaxPool } = pooling
export const { DequantizeLinear, QuantizeLinear } = quantization
