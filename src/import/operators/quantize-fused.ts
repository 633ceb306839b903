import type { AnyTensor } from '../../graph/tensor.ts'
import { leakyRelu } from '../../ops/activation.ts'
import { add, cast, mul, sigmoid, where } from '../../ops/elementwise.ts'
import { MatMulInteger } from '../../ops/integer.ts'
import { concat, transpose } from '../../ops/layout.ts'
import { matmul } from '../../ops/matmul.ts'
import { softmax } from '../../ops/norm.ts'
import { DynamicQuantizeLinear } from '../../ops/quantize.ts'
import { mean } from '../../ops/reduce.ts'
import type { NodeReader } from '../node-reader.ts'
import type { Operator, Operators } from '../operator.ts'
import { unsupported } from '../unsupported.ts'
import { dequantized, dequantizeLinear, quantizeLinear, requantized, zeroOf } from './quantize.ts'

/** A function of what two quantized tensors stand for. */
const binary =
  (of: (a: AnyTensor, b: AnyTensor) => AnyTensor): Operator =>
  n =>
    requantized(n, of(dequantized(n, 0), dequantized(n, 3)), 6, n.data(0).dtype)

/** A function of what a quantized tensor stands for. */
const unary =
  (of: (x: AnyTensor, n: NodeReader) => AnyTensor): Operator =>
  n =>
    requantized(n, of(dequantized(n, 0), n), 3, n.data(0).dtype)

/** Means over the places of each channel. */
function globalMean(x: AnyTensor, n: NodeReader): AnyTensor {
  if (n.flag('channels_last')) unsupported('channels_last 1 is not supported, only 0')
  return mean(x, [...x.shape.keys()].slice(2), true)
}

/** Before opset 13 the axes from `axis` on were one. */
function softmaxOf(x: AnyTensor, n: NodeReader): AnyTensor {
  const axis = n.int('axis', -1)
  const rank: number = x.shape.length
  if (n.int('opset', 13) < 13 && axis !== -1 && axis !== rank - 1)
    unsupported(`axis ${axis} of a softmax before opset 13 is not supported, only the last one`)
  return softmax(x, axis)
}

/** Scale and zero point come first, then three inputs for each part. */
const joined: Operator = n => {
  const count = Math.floor((n.inputs.length - 2) / 3)
  const parts = Array.from({ length: count }, (_, i) => dequantized(n, 2 + 3 * i))
  return requantized(n, concat(parts, n.int('axis', 1)), 0, n.data(2).dtype)
}

/** alpha A B + C; C of int32 has the product of the scales. Without a scale of its own the result is real. */
function qGemm(n: NodeReader): AnyTensor {
  const [a, b, c] = [dequantized(n, 0), dequantized(n, 3, n.flag('transB') ? 0 : 1), n.optional(6)]
  const turned = (x: AnyTensor, name: string) => (n.flag(name) ? transpose(x, [1, 0]) : x)
  const alpha = n.float('alpha', 1)
  const product = mul(matmul(turned(a, 'transA'), turned(b, 'transB')), alpha)
  const scale = mul(mul(n.data(1), n.data(4)), alpha)
  const y = c ? add(product, mul(cast(c, scale.dtype), scale)) : product
  return n.inputs.length > 7 ? requantized(n, y, 7, n.data(0).dtype) : y
}

/** A product of integers as real numbers: in the product of their scales. */
function scaledProduct(
  product: AnyTensor,
  a: AnyTensor,
  b: AnyTensor,
  bias: AnyTensor | undefined,
): AnyTensor {
  const y = mul(cast(product, a.dtype), mul(a, b))
  return bias ? add(y, bias) : y
}

/** A B of a real A, which is quantized by its own range, and an integer B. */
function dynamicMatMul(n: NodeReader): AnyTensor {
  const [b, scale, bias] = [n.data(1), n.data(2), n.optional(4)]
  const [q, own, zero] = DynamicQuantizeLinear.applyAll([n.data(0)])
  return scaledProduct(MatMulInteger.apply([q, b, zero, zeroOf(n, 3, b)]), own, scale, bias)
}

function integerToFloat(n: NodeReader): AnyTensor {
  const [a, b, bias] = [n.data(0), n.data(1), n.optional(6)]
  const product = MatMulInteger.apply([a, b, zeroOf(n, 4, a), zeroOf(n, 5, b)])
  return scaledProduct(product, n.data(2), n.data(3), bias)
}

/** What onnxruntime's optimizer makes of quantized models. */
export const FUSED_QUANTIZED: Operators = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  QLinearAdd: binary(add),
  QLinearMul: binary(mul),
  QLinearSigmoid: unary(sigmoid),
  QLinearLeakyRelu: unary((x, n) => leakyRelu(x, n.float('alpha', 0.01))),
  QLinearSoftmax: unary(softmaxOf),
  QLinearGlobalAveragePool: unary(globalMean),
  QLinearConcat: joined,
  QLinearWhere: n =>
    requantized(n, where(n.data(0), dequantized(n, 1), dequantized(n, 4)), 7, n.data(1).dtype),
  QGemm: qGemm,
  DynamicQuantizeMatMul: dynamicMatMul,
  MatMulIntegerToFloat: integerToFloat,
}
