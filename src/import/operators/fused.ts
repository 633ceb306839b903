import { UserError } from '../../graph/errors.ts'
import { Constant, constant, constantOf } from '../../graph/leaf.ts'
import { show } from '../../graph/shape.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import { mul } from '../../ops/elementwise.ts'
import { readOrder } from '../../ops/fused-matmul.ts'
import * as ops from '../../ops/index.ts'
import { dequantize } from '../../ops/quantize.ts'
import type { NodeReader } from '../node-reader.ts'
import type { Operators } from '../operator.ts'
import { unsupported } from '../unsupported.ts'
import { swish } from './elementwise.ts'
import { activated } from './fused-activation.ts'

const plus = (x: AnyTensor, bias: AnyTensor | undefined): AnyTensor => (bias ? ops.add(x, bias) : x)

/** alpha A B of operands that are read in another order of their axes; a vector has one order. */
function fusedMatMul(n: NodeReader): AnyTensor {
  const read = (i: 0 | 1, side: 'A' | 'B'): AnyTensor => {
    const x = n.data(i)
    const [trans, batch] = [n.flag(`trans${side}`), n.flag(`transBatch${side}`)]
    const rank: number = x.shape.length
    return rank < 2 ? x : ops.transpose(x, readOrder(rank, trans, batch))
  }
  const product = ops.matmul(read(0, 'A'), read(1, 'B'))
  const alpha = n.float('alpha', 1)
  return alpha === 1 ? product : mul(product, alpha)
}

/** A constant that is filled with one number may have any size. */
const MOST_BYTES = 2 ** 30

/** The bytes of a constant. */
function bytesOf(n: NodeReader, i: number, name: string): ArrayLike<number> {
  const { node, dtype, shape } = n.data(i)
  if (node.op !== Constant || dtype !== 'uint8') unsupported(`${name} must be a constant of uint8`)
  const data = constantOf(node)
  if (!(data instanceof Float64Array)) return unsupported(`${name} of ${show(shape)} is not supported`)
  const size = shape.reduce((a: number, b: number) => a * b, 1)
  if (size > MOST_BYTES) return unsupported(`${name} of ${show(shape)} is not supported`)
  // A constant that is filled with one number holds it once.
  return data.length === size ? data : new Float64Array(size).fill(data[0] ?? 0)
}

/** Numbers of `bits` each, of which a byte holds several, the lowest first: `count` in each row. */
function unpacked(bytes: ArrayLike<number>, bits: number, rows: number, count: number): Uint8Array {
  const [each, mask] = [8 / bits, 2 ** bits - 1]
  const width = Math.ceil(count / each)
  if (bytes.length !== rows * width)
    throw new UserError(`${bytes.length} bytes do not hold ${rows} rows of ${count} numbers of ${bits} bits`)
  // As bytes, and in a loop: a weight has millions of them.
  const numbers = new Uint8Array(rows * count)
  for (let i = 0; i < numbers.length; i++) {
    const [row, at] = [Math.floor(i / count), i % count]
    numbers[i] = (Number(bytes[row * width + Math.floor(at / each)]) >> (bits * (at % each))) & mask
  }
  return numbers
}

/** A Wᵀ + bias with weights of 4 or 8 bits, in blocks with a scale (and zero point) each. */
function matMulNBits(n: NodeReader): AnyTensor {
  const [inputs, outputs, size, bits] = [
    n.int('K', 0),
    n.int('N', 0),
    n.int('block_size', 0),
    n.int('bits', 4),
  ]
  n.int('accuracy_level', 0)
  if (bits !== 4 && bits !== 8) unsupported(`bits ${bits} is not supported, only 4 and 8`)
  if (!(inputs > 0 && outputs > 0 && size > 0))
    throw new UserError(`K ${inputs}, N ${outputs} and block_size ${size} must be above 0`)
  if (n.input(4)) unsupported('an order of groups (input 4) is not supported')
  const blocks = Math.ceil(inputs / size)
  const rows = outputs * blocks
  const q = constant(unpacked(bytesOf(n, 1, 'B'), bits, rows, size), 'uint8', [rows, size])
  const middle = 2 ** (bits - 1)
  const zeros = n.input(3)
    ? unpacked(bytesOf(n, 3, 'zero_points'), bits, outputs, blocks)
    : new Uint8Array(rows).fill(middle)
  const weights = dequantize(q, ops.reshape(n.data(2), [rows]), constant(zeros, 'uint8', [rows]), 0)
  const whole = ops.reshape(weights, [outputs, blocks * size])
  const used = blocks * size === inputs ? whole : ops.slice(whole, 1, 0, inputs)
  return plus(ops.matmul(n.data(0), ops.transpose(used, [1, 0])), n.optional(5))
}

const FUSED_INTO_GEMM = [
  '',
  'Relu',
  'LeakyRelu',
  'Elu',
  'Sigmoid',
  'HardSigmoid',
  'Tanh',
  'Softplus',
  'Softsign',
] as const

/** Products and activations that onnxruntime's optimizer puts together. */
export const FUSED: Operators = {
  FusedGemm(n, read) {
    const activation = n.text('activation', FUSED_INTO_GEMM)
    const parameters = ['activation_alpha', 'activation_beta', 'activation_gamma'].map(name =>
      n.attribute(name, 'float'),
    )
    return activated(read('Gemm', n.all()), activation, parameters)
  },
  FusedMatMul: fusedMatMul,
  TransposeMatMul: fusedMatMul,
  MatMulNBits: matMulNBits,
  Gelu: n => ops.gelu(n.data(0)),
  BiasGelu: n => ops.gelu(ops.add(n.data(0), n.data(1))),
  FastGelu: n => ops.gelu(plus(n.data(0), n.optional(1)), 'tanh'),
  QuickGelu: n => swish(n.data(0), n.float('alpha', 1.702)),
}
