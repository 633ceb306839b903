import type { TensorType } from '../graph/attributes.ts'
import type { DType } from '../graph/dtype.ts'
import { ShapeError } from '../graph/errors.ts'
import { fileOp, opOf } from '../graph/op.ts'
import { nth, present } from '../graph/present.ts'
import { sample, whole } from '../graph/sample.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import './conv.ts'
import { cast, sub } from './elementwise.ts'
import { vjp } from './grad.ts'
import { reshape } from './layout.ts'
import { matmul } from './matmul.ts'

// Products of quantized tensors, as int32. Their gradients are those of the products of real numbers, which are float tensors.

const BYTES: readonly DType[] = ['int8', 'uint8']

function wantBytes(name: string, a: TensorType, b: TensorType, zeros: readonly TensorType[]): void {
  for (const [i, t] of [a, b].entries())
    if (!BYTES.includes(t.dtype) || nth(zeros, i).dtype !== t.dtype)
      throw new ShapeError(
        `${name}: takes int8 or uint8 with a zero point of the same dtype, not ${t.dtype} with ${nth(zeros, i).dtype}`,
      )
}

/** q − z as real numbers. @param shape of a zero point for each row, column or filter */
const real = (q: AnyTensor, zero: AnyTensor, shape: shapes.Shape, dtype: DType): AnyTensor => {
  const single = zero.shape.every((d: unknown) => d === 1) && zero.shape.length < 2
  return sub(cast(q, dtype), cast(single ? reshape(zero, []) : reshape(zero, shape), dtype))
}

/** The operands of a product as real numbers; one zero point may stand for each row of A, and each column of B. */
const factors = (inputs: readonly AnyTensor[], dtype: DType): [a: AnyTensor, b: AnyTensor] => {
  const [a, b, az, bz] = [nth(inputs, 0), nth(inputs, 1), nth(inputs, 2), nth(inputs, 3)]
  const rows = az.shape.length === 1 ? [az.shape[0], 1] : az.shape
  return [real(a, az, rows, dtype), real(b, bz, bz.shape, dtype)]
}

/** Without VNNI instructions, x86 cuts sums of two products of uint8 and int8 to 16 bits. */
const small = whole('int8', 64, 7, 3)

/** (A − a) (B − b) of matrices of bytes, as int32. */
export const MatMulInteger = fileOp('MatMulInteger', {
  inputs: ['A', 'B', 'a_zero_point', 'b_zero_point'],
  infer: ([a, b, az, bz]) => {
    wantBytes('matmulInteger', a, b, [az, bz])
    return [{ dtype: 'int32', shape: shapes.matmul('matmulInteger', a.shape, b.shape) }]
  },
  macs: ([a], [y]) => shapes.productMacs(a.shape, y.shape),
  // that of the product of real numbers
  vjp: ({ x, dy }) => {
    const [a, b] = factors(x, dy.dtype)
    const [da, db] = vjp(matmul(a, b), dy, [a, b])
    return [da, db, null, null]
  },
  // Doubles hold every sum that int32 does.
  decompose: inputs => {
    const [a, b] = factors(inputs, 'float64')
    return [cast(matmul(a, b), 'int32')]
  },
  samples: [
    sample(whole('uint8', 256, 5, 7), small, whole('uint8', 256), whole('int8', 128)),
    sample(
      whole('uint8', 256, 2, 5, 7),
      whole('uint8', 256, 7, 3),
      whole('uint8', 256),
      whole('uint8', 256, 3),
    ),
  ],
})

const Conv = present(opOf('Conv'), 'convolution')

/** The operands of a convolution as real numbers. */
const images = (inputs: readonly AnyTensor[], dtype: DType): [x: AnyTensor, w: AnyTensor] => {
  const [x, w, xz, wz] = [nth(inputs, 0), nth(inputs, 1), nth(inputs, 2), nth(inputs, 3)]
  const filters = [wz.shape[0], ...w.shape.slice(1).map(() => 1)]
  return [real(x, xz, xz.shape, dtype), real(w, wz, filters, dtype)]
}

/** Convolution of images of bytes, as int32. */
export const ConvInteger = fileOp('ConvInteger', {
  inputs: ['x', 'w', 'x_zero_point', 'w_zero_point'],
  outputs: ['y'],
  attrs: present(Conv.attrs, 'attributes of a convolution'),
  neutral: Conv.neutral ?? {},
  infer: ([x, w, xz, wz], attrs) => {
    wantBytes('convInteger', x, w, [xz, wz])
    const [image, filters] = [x, w].map(({ shape }) => ({ dtype: 'float32' as const, shape }))
    const [y] = Conv.infer([present(image, 'image'), present(filters, 'filters')], attrs)
    return [{ dtype: 'int32', shape: present(y, 'result').shape }]
  },
  // that of the convolution of real numbers
  vjp: ({ x: inputs, dy, attrs }) => {
    const [x, w] = images(inputs, dy.dtype)
    const [dx, dw] = vjp(Conv.apply([x, w], attrs), dy, [x, w])
    return [dx, dw, null, null]
  },
  // Doubles hold every sum that int32 does.
  decompose: (inputs, attrs) => [cast(Conv.apply(images(inputs, 'float64'), attrs), 'int32')],
  samples: [
    sample(
      whole('uint8', 256, 2, 3, 8, 7),
      whole('uint8', 256, 4, 3, 3, 3),
      whole('uint8', 256),
      whole('uint8', 256),
      {
        kernel_shape: [3, 3],
        strides: [2, 2],
        pads: [1, 1, 1, 1],
        dilations: [1, 1],
        group: 1,
      },
    ),
  ],
})
