import { expect, test } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import { readOnnx } from '../../src/export/read.ts'
import { ShapeError } from '../../src/graph/errors.ts'
import { input } from '../../src/graph/leaf.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { importOnnx } from '../../src/import/import.ts'
import { grad } from '../../src/ops/grad.ts'
import { sum } from '../../src/ops/reduce.ts'
import { type ResizeAttrs, resize } from '../../src/ops/resize.ts'

const how = {
  mode: 'linear',
  coordinate_transformation_mode: 'half_pixel',
  nearest_mode: 'round_prefer_floor',
  cubic_coeff_a: -0.75,
  exclude_outside: false,
  extrapolation_value: 0,
} as const satisfies ResizeAttrs

function again(x: AnyTensor, y: AnyTensor) {
  const bytes = lower({ inputs: { x }, parameters: {}, outputs: { y } }, { name: 'g', opset: 17 })
  return importOnnx(readOnnx(bytes, 'x.onnx'), 'x.onnx').graph
}

test('an image whose size is a symbol is resized, and has no gradient before the size is given', () => {
  const x = input('x', 'float32', ['n', 3, 'h', 'w'])
  const y = resize(x, { ...how, scales: [1, 1, 2, 1.5] })
  expect(y.shape).toEqual(['n', 3, 'h*2', -1])
  expect(again(x, y).outputs.y?.shape).toEqual(['n', 3, 'h*2', -1])
  expect(() => grad(sum(y), [x])).toThrow(ShapeError)
  expect(() => grad(sum(y), [x])).toThrow(
    'resize: axis 2 of [n,3,h,w] becomes h*2; its gradient needs both sizes, so give a size for each symbol',
  )
})

test('sizes may follow from those of the inputs', () => {
  const x = input('x', 'float32', ['n', 3, 8, 8])
  const y = resize(x, { ...how, sizes: ['n', 3, 16, 16] })
  expect(again(x, y).outputs.y?.shape).toEqual(['n', 3, 16, 16])
  expect(grad(sum(y), [x])[0].shape).toEqual(['n', 3, 8, 8])
})

test('what opset 17 does not have is refused there', () => {
  const x = input('x', 'float32', [1, 3, 8, 8])
  const y = resize(x, { ...how, antialias: true, scales: [1, 1, 0.5, 0.5] })
  expect(() => again(x, y)).toThrow('Resize needs opset 18, but the file is written for opset 17')
})
