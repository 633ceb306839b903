import type { DType } from '../../graph/dtype.ts'
import { UserError } from '../../graph/errors.ts'
import { constant } from '../../graph/leaf.ts'
import { nth } from '../../graph/present.ts'
import { axisOf, product, type Shape, show } from '../../graph/shape.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import { cast, mul } from '../../ops/elementwise.ts'
import { ConvInteger, MatMulInteger } from '../../ops/integer.ts'
import { reshape, transpose } from '../../ops/layout.ts'
import { matmul } from '../../ops/matmul.ts'
import { dequantize, quantize } from '../../ops/quantize.ts'
import type { NodeReader } from '../node-reader.ts'
import type { Operators, ReadAs } from '../operator.ts'
import { importedType } from '../tensor.ts'
import { unsupported } from '../unsupported.ts'

/** Zeros like a scale, for a zero point that is left out. */
function zeros(dtype: DType, { shape }: AnyTensor): AnyTensor {
  const sizes = shape.filter((d: unknown): d is number => typeof d === 'number' && d >= 0)
  if (sizes.length !== shape.length) return unsupported(`a scale of ${show(shape)} is not supported`)
  return constant(0, dtype, sizes)
}

/** The tensor behind three inputs from `i` on: integers, their scale and their zero point. */
export function dequantized(n: NodeReader, i: number, axis = 1): AnyTensor {
  const [q, scale] = [n.data(i), n.data(i + 1)]
  return dequantize(q, scale, n.optional(i + 2), axis)
}

/** A result in the scale and zero point of two inputs from `i` on. */
export function requantized(n: NodeReader, y: AnyTensor, i: number, dtype: DType, axis = 1): AnyTensor {
  const scale = n.data(i)
  return quantize(y, scale, n.optional(i + 1) ?? zeros(dtype, scale), axis)
}

interface Blocks {
  /** A block in each row. */
  readonly rows: (x: AnyTensor) => AnyTensor
  /** One number for each block. */
  readonly each: (v: AnyTensor) => AnyTensor
  /** Rows back in their places. */
  readonly back: (rows: AnyTensor) => AnyTensor
}

/** Blocks of `size` elements along an axis. */
function blocksOf(shape: Shape, given: number, size: number): Blocks {
  const axis = axisOf('quantize', given, shape.length)
  const dim = nth(shape, axis)
  if (typeof dim !== 'number' || dim < 0 || size < 1 || dim % size)
    unsupported(`block_size ${size} does not divide axis ${axis} of ${show(shape)}, which is not supported`)
  const [before, count] = [product(shape.slice(0, axis)), Number(dim) / size]
  const after = product(shape.slice(axis + 1))
  const all = product([before, count, after])
  return {
    rows: x => reshape(transpose(reshape(x, [before, count, size, after]), [0, 1, 3, 2]), [all, size]),
    each: v => reshape(v, [all]),
    back: rows => reshape(transpose(reshape(rows, [before, count, after, size]), [0, 1, 3, 2]), shape),
  }
}

/** An element type that an attribute names; 0 stands for none. */
function dtypeOf(n: NodeReader, name: string): DType | undefined {
  const code = n.int(name, 0)
  return code ? (importedType(code) ?? unsupported(`${name} ${code} is not supported`)) : undefined
}

export function quantizeLinear(n: NodeReader): AnyTensor {
  const [given, scale] = [n.data(0), n.data(1)]
  const x = cast(given, scale.dtype)
  const zero = n.optional(2) ?? zeros(dtypeOf(n, 'output_dtype') ?? 'uint8', scale)
  const wanted = dtypeOf(n, 'output_dtype') ?? zero.dtype
  if (wanted !== zero.dtype)
    throw new UserError(`output_dtype is ${wanted}, but the zero point is of ${zero.dtype}`)
  // These concern floats of 8 bits, and half precision, which is float32 here.
  n.flag('saturate')
  n.int('precision', 0)
  const [axis, size] = [n.int('axis', 1), n.int('block_size', 0)]
  if (!size) return quantize(x, scale, zero, axis)
  const blocks = blocksOf(x.shape, axis, size)
  return blocks.back(quantize(blocks.rows(x), blocks.each(scale), blocks.each(zero), 0))
}

export function dequantizeLinear(n: NodeReader): AnyTensor {
  const [q, scale] = [n.data(0), n.data(1)]
  const given = n.optional(2)
  const dtype = dtypeOf(n, 'output_dtype') ?? scale.dtype
  const [axis, size] = [n.int('axis', 1), n.int('block_size', 0)]
  if (!size) return cast(dequantize(q, scale, given, axis), dtype)
  const zero = given ?? zeros(q.dtype, scale)
  const blocks = blocksOf(q.shape, axis, size)
  const rows = dequantize(blocks.rows(q), blocks.each(scale), blocks.each(zero), 0)
  return cast(blocks.back(rows), dtype)
}

/** A zero point of a product of bytes. */
export const zeroOf = (n: NodeReader, i: number, like: AnyTensor): AnyTensor =>
  n.optional(i) ?? constant(0, like.dtype, [])

function matMulInteger(n: NodeReader): AnyTensor {
  const [a, b] = [n.data(0), n.data(1)]
  return MatMulInteger.apply([a, b, zeroOf(n, 2, a), zeroOf(n, 3, b)])
}

function convInteger(n: NodeReader, read: ReadAs): AnyTensor {
  const [x, w] = [n.data(0), n.data(1)]
  const { attrs } = read('Conv', [cast(x, 'float32'), cast(w, 'float32')]).node
  const zero = zeroOf(n, 3, w)
  if (zero.shape.some((d: unknown) => d !== 1))
    unsupported(
      `a zero point for each filter (${show(zero.shape)}) is not supported; onnxruntime has one for all`,
    )
  return ConvInteger.apply([x, w, zeroOf(n, 2, x), zero], attrs)
}

/** The convolution of what the integers stand for; a bias of int32 has the product of the scales. */
function qLinearConv(n: NodeReader, read: ReadAs): AnyTensor {
  const [x, w, bias] = [dequantized(n, 0), dequantized(n, 3, 0), n.optional(8)]
  const scale = reshape(mul(n.data(1), n.data(4)), [-1])
  const b = bias ? [mul(cast(bias, scale.dtype), scale)] : []
  return requantized(n, read('Conv', [x, w, ...b]), 6, n.data(0).dtype)
}

/** Rows of A and columns of B may have a scale each. */
function qLinearMatMul(n: NodeReader): AnyTensor {
  return requantized(n, matmul(dequantized(n, 0, -2), dequantized(n, 3, -1)), 6, n.data(0).dtype)
}

/** Operators on integers that stand for real numbers. */
export const QUANTIZED: Operators = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  MatMulInteger: matMulInteger,
  ConvInteger: convInteger,
  QLinearConv: qLinearConv,
  QLinearMatMul: qLinearMatMul,
}
