import { expect, test } from 'vitest'
import { constant, input } from '../../src/graph/leaf.ts'
import { cast, grad, maxPool2d, mul, reshape, split, sum, transpose } from '../../src/ops/index.ts'
import { MatMulInteger } from '../../src/ops/integer.ts'
import { DynamicQuantizeLinear, dequantize, quantize } from '../../src/ops/quantize.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'

const scale = input('scale', 'float32', [])
const zero = constant(10, 'uint8', [])
const x = input('x', 'float32', [4])
const feeds = { x: [0.26, -3, 1.04, 30], scale: [0.1] }

const numbers = async (y: Parameters<typeof sum>[0]): Promise<number[]> => {
  const got = await evaluate(await nodeRuntime('cpu'), { y }, feeds)
  return Array.from(got.y!.data, Number)
}

test('a gradient passes rounding where nothing is clipped, and learns the scale', async () => {
  const weights = constant([1, 2, 3, 4], 'float32', [4])
  const y = dequantize(quantize(x, scale, zero), scale, zero)
  const [dx, ds] = grad(sum(mul(y, weights)), [x, scale])
  expect(await numbers(dx)).toEqual([1, 0, 3, 0])
  // round(x / s) − x / s where it is not clipped (3 − 2.6 and 10 − 10.4), else the end of the range
  const want = 0.4 - 10 * 2 - 0.4 * 3 + 245 * 4
  expect((await numbers(ds))[0]).toBeCloseTo(want, 2)
})

test('a gradient passes operators on integers between quantization and its reverse', async () => {
  const image = reshape(quantize(x, scale, zero), [1, 1, 2, 2])
  const [top] = split(maxPool2d(transpose(image, [0, 1, 3, 2]), [1, 2], { stride: 1 }), 2, 2)
  const [dx] = grad(sum(dequantize(top!, scale, zero)), [x])
  expect(await numbers(dx)).toEqual([0, 0, 1, 0])
})

test('a gradient passes an integer product that is cast to real numbers', async () => {
  const [q, s, z] = DynamicQuantizeLinear.applyAll([reshape(x, [1, 4])])
  const w = constant([1, 2, 3, 4], 'int8', [4, 1])
  const y = mul(cast(MatMulInteger.apply([q, w, z, constant(0, 'int8', [])]), 'float32'), s)
  const [dx] = grad(sum(y), [x])
  // The range of x reaches from −3 to 30: its ends move the scale too.
  const got = await numbers(dx)
  expect([got[0], got[2]]).toEqual([expect.closeTo(1, 4), expect.closeTo(3, 4)])
})

test('gradients of a scale for each row are those of learnable fake quantization in PyTorch', async () => {
  const rows = [0.26, -3, 1.04, 30, -0.52, 0.07, 2.31, -9.4, 1.5, -1.3, 0.44, 0.9]
  const w = input('w', 'float32', [3, 4])
  const scales = input('scales', 'float32', [3])
  const zeros = constant([0, 0, 0], 'int8', [3])
  const weights = constant([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 'float32', [3, 4])
  const y = dequantize(quantize(w, scales, zeros, 0), scales, zeros, 0)
  const [dw, ds] = grad(sum(mul(y, weights)), [w, scales])
  const got = await evaluate(await nodeRuntime('cpu'), { y, dw, ds }, { w: rows, scales: [0.1, 0.05, 0.01] })
  const near = (values: readonly number[]) => values.map(v => expect.closeTo(v, 3))
  // torch 2.15: torch._fake_quantize_learnable_per_channel_affine(x, scale, zero_point, 0, -128, 127, 1.0)
  expect([...got.y!.data]).toEqual(near([0.3, -3, 1, 12.7, -0.5, 0.05, 2.3, -6.4, 1.27, -1.28, 0.44, 0.9]))
  expect([...got.dw!.data]).toEqual(near([1, 2, 3, 0, 5, 6, 7, 0, 0, 0, 11, 12]))
  expect([...got.ds!.data]).toEqual(near([507.2, -1025.8, -137]))
})
