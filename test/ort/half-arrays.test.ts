import { beforeAll, describe, expect, test } from 'vitest'
import { exportOnnx } from '../../src/export/export.ts'
import type { TensorProto } from '../../src/export/onnx-proto.ts'
import { readOnnx, readWeights } from '../../src/export/read.ts'
import { readSafetensors, writeSafetensors } from '../../src/export/safetensors.ts'
import { readTensor, toTyped } from '../../src/export/tensor-data.ts'
import { readWeightsFile, writeWeightsFile } from '../../src/export/weights.ts'
import { UserError } from '../../src/graph/errors.ts'
import { fromHalf, halfValues, toHalf } from '../../src/graph/half.ts'
import { parameter } from '../../src/graph/leaf.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { model } from '../../src/nn/model.ts'
import { initialized } from '../../src/nn/trained.ts'
import { add } from '../../src/ops/index.ts'
import { fileSubject } from '../../src/report/subject.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { openPredictor } from '../../src/train/predictor.ts'

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

const halves = [0, 1, -2, 0.1, 65504, 2 ** -24, Number.POSITIVE_INFINITY]

test('every number of half precision is read and written without a change', () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = fromHalf(bits)
    if (!Number.isNaN(value)) expect(toHalf(value)).toBe(bits)
  }
})

test.each(['rawData', 'int32Data'] as const)('float16 elements are read from %s', field => {
  const bits = toTyped(halves, 'float16', halves.length) as Uint16Array
  const whole: TensorProto = { dims: [halves.length], dataType: 10 }
  const t =
    field === 'rawData'
      ? { ...whole, rawData: new Uint8Array(bits.buffer) }
      : { ...whole, int32Data: Array.from(bits) }
  expect(readTensor(t)).toEqual({ dtype: 'float16', dims: [halves.length], data: bits })
})

const mixed = () => {
  const fixed = (values: readonly number[], dtype: 'float16' | 'int8') =>
    parameter([values.length], { kind: 'values', values: Float32Array.from(values) }, { dtype, buffer: true })
  return initialized(
    model({
      inputs: { x: { shape: [3] } },
      layers: {
        w: parameter([3], { kind: 'constant', value: 0.1 }),
        h: fixed([1, 2, 0.5], 'float16'),
        q: fixed([-128, 0, 127], 'int8'),
      },
      forward: (self, { x }) => ({ y: add(x, self.w) as AnyTensor, h: self.h, q: self.q }),
    }),
  )
}

describe('a file of weights', () => {
  test('holds each parameter in its dtype', () => {
    const { tensors } = readSafetensors(writeWeightsFile(mixed()), 'w.safetensors')
    expect({ ...tensors }).toEqual({
      w: { dtype: 'float32', shape: [3], data: Float32Array.of(0.1, 0.1, 0.1) },
      h: { dtype: 'float16', shape: [3], data: Uint16Array.of(0x3c00, 0x4000, 0x3800) },
      q: { dtype: 'int8', shape: [3], data: Int8Array.of(-128, 0, 127) },
    })
  })

  test('is read as float32, whatever the precision of its floats', () => {
    const bytes = writeSafetensors({
      h: { dtype: 'float16', shape: [2], data: Uint16Array.of(0x3c00, 0xc000) },
      d: { dtype: 'float64', shape: [1], data: Float64Array.of(0.25) },
      s: { dtype: 'float32', shape: [1], data: Float32Array.of(3) },
      n: { dtype: 'uint16', shape: [1], data: Uint16Array.of(7) },
      'optimizer.m': { dtype: 'float32', shape: [1], data: Float32Array.of(9) },
    })
    expect(readWeightsFile(bytes, 'w.safetensors')).toEqual({
      h: Float32Array.of(1, -2),
      d: Float32Array.of(0.25),
      s: Float32Array.of(3),
    })
  })

  test('of bfloat16 is read as float32', () => {
    const header = JSON.stringify({ b: { dtype: 'BF16', shape: [2], data_offsets: [0, 4] } })
    const bytes = new Uint8Array(8 + header.length + 4)
    new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true)
    bytes.set(new TextEncoder().encode(header), 8)
    bytes.set([0x80, 0x3f, 0x00, 0xc0], 8 + header.length)
    expect(readWeightsFile(bytes, 'w.safetensors')).toEqual({ b: Float32Array.of(1, -2) })
  })
})

test('an .onnx file holds each parameter in its dtype', () => {
  const weights = readWeights(readOnnx(exportOnnx(mixed()), 'm.onnx'))
  expect(weights.get('h')?.data).toEqual(Uint16Array.of(0x3c00, 0x4000, 0x3800))
  expect(weights.get('q')?.data).toEqual(Int8Array.of(-128, 0, 127))
})

describe('a model with float16 inputs and outputs', () => {
  const half = model({
    inputs: { x: { shape: [2], dtype: 'float16' } },
    layers: {},
    forward: (_, { x }) => ({ y: add(x, x) as typeof x }),
  })
  const answer = async (x: unknown) => {
    const p = await openPredictor(cpu, exportOnnx(half))
    const { y } = await p.run({ x: x as number[] }).finally(() => p.close())
    return y
  }

  test('takes numbers, and gives numbers', async () => {
    const want = { data: Float32Array.of(2, 0.199951171875), dims: [1, 2] }
    expect(await answer([[1, 0.1]])).toEqual(want)
    expect(await answer(Float32Array.of(1, 0.1))).toEqual(want)
    expect(await answer(Float64Array.of(1, 0.1))).toEqual(want)
    expect(await answer(Uint16Array.of(0x3c00, 0x2e66))).toEqual(want)
    expect(halfValues(Uint16Array.of(0x2e66))[0]).toBeCloseTo(0.1, 4)
  })

  test('refuses what it cannot hold, and says what to do', async () => {
    const message = async (x: unknown) =>
      answer(x).then(
        () => 'accepted',
        (error: unknown) => (error instanceof UserError ? error.message : `not a UserError: ${error}`),
      )
    expect([
      await message([[1, 65504]]),
      await message([[1, 70000]]),
      await message(Int32Array.of(1, 2)),
      await message([[1, 'two']]),
    ]).toMatchInlineSnapshot(`
      [
        "accepted",
        "the model: x: value 1 is 70000, but float16 ends at 65504; scale it, or use a model with float32 inputs",
        "the model: x: is Int32Array; expected float16: give numbers, such as a Float32Array, or a Uint16Array of their 16 bits",
        "the model: x: value 1 is two, which is not float16",
      ]
    `)
  })
})

test('inspecting a file says which dtypes its weights have', () => {
  const weightsOf = (bytes: Uint8Array) => {
    const { about } = fileSubject('m.onnx', readOnnx(bytes, 'm.onnx'), () => mixed().model)
    return about.find(([label]) => label === 'weights')?.[1]
  }
  expect(weightsOf(exportOnnx(mixed()))).toBe('3 float32, 3 float16, 3 int8')
  const plain = model({
    inputs: { x: { shape: [3] } },
    layers: { w: parameter([3], { kind: 'constant', value: 1 }) },
    forward: (self, { x }) => ({ y: add(x, self.w) as AnyTensor }),
  })
  expect(weightsOf(exportOnnx(plain))).toBeUndefined()
})
