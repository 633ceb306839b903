import { expect, test } from 'vitest'
import { constant, input, parameter } from '../../../src/graph/leaf.ts'
import { print } from '../../../src/graph/print.ts'
import type { AnyTensor } from '../../../src/graph/tensor.ts'
import {
  add,
  batchNormRunning,
  conv2d,
  div,
  linear,
  mul,
  relu,
  reshape,
  sub,
  sum,
} from '../../../src/ops/index.ts'
import { foldAffine } from '../../../src/passes/fold-affine.ts'

const image: AnyTensor = input('x', 'float32', ['batch', 3, 8, 8])
const rows: AnyTensor = input('x', 'float32', ['batch', 4])
const weight = (...shape: number[]): AnyTensor => parameter(shape, { kind: 'normal', std: 1 })
const norm = (x: AnyTensor): AnyTensor => {
  const size = Number(x.shape[1])
  return batchNormRunning(x, weight(size), weight(size), weight(size), weight(size))
}
const folded = (x: AnyTensor, ...outputs: AnyTensor[]): string =>
  print(
    foldAffine({
      inputs: { x },
      parameters: {},
      outputs: Object.fromEntries(outputs.map((y, i) => [`y${i}`, y])),
    }),
  )
/** Operators that read what the input gives, in order: what is computed of weights is left out. */
const alive = (x: AnyTensor, ...outputs: AnyTensor[]): string[] => {
  const seen = new Set(['x'])
  const found: string[] = []
  for (const line of folded(x, ...outputs).split('\n')) {
    const [, name = '', op = '', args = ''] = /^(v\d+):.* = (\w+)\((.*?)\)/.exec(line) ?? []
    if (!args.split(', ').some(arg => seen.has(arg))) continue
    seen.add(name)
    found.push(op)
  }
  return found
}

test('a batch norm behind a convolution goes into its weight and bias', () => {
  expect(folded(image, norm(conv2d(image, weight(6, 3, 3, 3))))).toMatchInlineSnapshot(`
    "input x:f32[batch,3,8,8]
    v0:f32[6] = Add(?Parameter, 0.00001)
    v1:f32[6] = Sqrt(v0)
    v2:f32[6] = Div(?Parameter, v1)
    v3:f32[6,1,1,1] = Reshape(v2) {shape=[6,1,1,1]}
    v4:f32[6,3,3,3] = Mul(?Parameter, v3)
    v5:f32[6] = Mul(?Parameter, v2)
    v6:f32[6] = Sub(?Parameter, v5)
    v7:f32[batch,6,6,6] = Conv(x, v4, v6) {kernel_shape=[3,3] strides=[1,1] pads=[0,0,0,0] dilations=[1,1] group=1}
    return y0=v7"
  `)
})

test('a shift goes into the bias of a linear layer, and so do a scale and a shift ahead of it', () => {
  const centred = div(sub(rows, weight(4)), weight(4))
  expect(folded(rows, add(linear(centred, weight(2, 4), weight(2)), weight(2)))).toMatchInlineSnapshot(`
    "input x:f32[batch,4]
    v0:f32[4,2] = Transpose(?Parameter) {perm=[1,0]}
    v1:f32[4] = Reciprocal(?Parameter)
    v2:f32[4,1] = Reshape(v1) {shape=[4,1]}
    v3:f32[4,2] = Mul(v0, v2)
    v4:f32[batch,2] = MatMul(x, v3)
    v5:f32[4] = Neg(?Parameter)
    v6:f32[4,1] = Reshape(v5) {shape=[4,1]}
    v7:f32[4,2] = Mul(v3, v6)
    v8:f32[2] = ReduceSum(v7) {axes=[0] keepdims=false}
    v9:f32[2] = Add(v8, ?Parameter)
    v10:f32[2] = Add(v9, ?Parameter)
    v11:f32[batch,2] = Add(v4, v10)
    return y0=v11"
  `)
})

test('ahead of a convolution that pads, the shift stays', () => {
  const centred = div(sub(image, weight(3, 1, 1)), weight(3, 1, 1))
  expect(alive(image, conv2d(centred, weight(6, 3, 3, 3), undefined, { padding: 1 }))).toEqual([
    'Sub',
    'Conv',
  ])
  expect(alive(image, conv2d(centred, weight(6, 3, 3, 3)))).toEqual(['Conv'])
})

test('a convolution whose result something else reads stays as it is', () => {
  const y = conv2d(image, weight(6, 3, 3, 3))
  expect(alive(image, norm(y), relu(y))).toEqual(['Conv', 'BatchNormalization', 'Relu'])
  expect(alive(image, norm(y), y)).toEqual(['Conv', 'BatchNormalization'])
  const scaled = mul(image, weight(3, 1, 1))
  expect(alive(image, conv2d(scaled, weight(6, 3, 3, 3)), relu(scaled))).toEqual(['Mul', 'Conv', 'Relu'])
})

test('a large weight that is read twice is not copied, a small one is', () => {
  const twice = (w: AnyTensor) => {
    const y = norm(linear(rows, w))
    return alive(rows, y, linear(relu(rows), w))
  }
  expect(twice(weight(512, 4))).toEqual(['MatMul', 'BatchNormalization', 'Relu', 'MatMul'])
  expect(twice(weight(8, 4))).toEqual(['MatMul', 'Add', 'Relu', 'MatMul'])
  const tied = weight(512, 4)
  const y = norm(linear(rows, tied))
  expect(alive(rows, y, mul(linear(mul(rows, 2), tied), 3))).toEqual([
    'MatMul',
    'BatchNormalization',
    'Mul',
    'MatMul',
    'Mul',
  ])
})

test('a weight that the caller gives is not scaled', () => {
  const given: AnyTensor = input('w', 'float32', [6, 3, 3, 3])
  expect(alive(image, norm(conv2d(image, given)))).toEqual(['Conv', 'BatchNormalization'])
})

test('one scale for all passes through views to the layer that reads them', () => {
  const half = div(sub(image, constant(0.5, 'float32', [1])), constant(0.5, 'float32', [1]))
  const y = linear(reshape(half, ['batch', 192]), weight(2, 192), weight(2))
  expect(alive(image, y)).toEqual(['Reshape', 'MatMul', 'Add'])
  const each = mul(image, weight(3, 1, 1))
  expect(alive(image, linear(reshape(each, ['batch', 192]), weight(2, 192)))).toEqual([
    'Mul',
    'Reshape',
    'MatMul',
  ])
})

test('maps in a row become one, and a batch norm takes what follows it', () => {
  const map = add(mul(add(mul(image, weight(3, 1, 1)), weight(3, 1, 1)), weight(3, 1, 1)), weight(3, 1, 1))
  expect(alive(image, map)).toEqual(['Mul', 'Add'])
  expect(alive(image, mul(mul(image, 2), weight(3, 1, 1)))).toEqual(['Mul'])
  expect(alive(image, add(mul(norm(image), 3), weight(3, 1, 1)))).toEqual(['BatchNormalization'])
})

test('numbers without axes, and vectors, are left as they are or joined', () => {
  const total: AnyTensor = sum(rows, [0, 1])
  expect(alive(rows, mul(mul(total, 2), 3))).toEqual(['ReduceSum', 'Mul', 'Mul'])
  expect(alive(rows, mul(mul(sum(rows, 0), 2), weight(4)))).toEqual(['ReduceSum', 'Mul'])
})

test('sizes of an image need not be known', () => {
  const any: AnyTensor = input('x', 'float32', ['batch', 3, 'H', 'W'])
  const y = conv2d(any, weight(6, 3, 3, 3), undefined, { stride: 2, padding: 1 })
  expect(alive(any, norm(y))).toEqual(['Conv'])
  expect(alive(any, mul(y, weight(6, 1, 1)))).toEqual(['Conv'])
})

test('what makes its operand larger stays', () => {
  const column: AnyTensor = input('x', 'float32', ['batch', 1])
  expect(alive(column, mul(mul(column, 2), weight(4)))).toEqual(['Mul', 'Mul'])
})

test('what is not a map of channels stays', () => {
  const places = weight(1, 6, 6, 6)
  expect(alive(image, mul(conv2d(image, weight(6, 3, 3, 3)), places))).toEqual(['Conv', 'Mul'])
  expect(alive(image, mul(conv2d(image, weight(6, 3, 3, 3)), weight(6)))).toEqual(['Conv', 'Mul'])
})
