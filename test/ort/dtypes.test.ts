import { expect, test } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import type { TensorProto } from '../../src/export/onnx-proto.ts'
import { readOnnx } from '../../src/export/read.ts'
import { tensorProto } from '../../src/export/tensor-data.ts'
import type { TypedArray } from '../../src/graph/array.ts'
import { importOnnx } from '../../src/import/import.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { fileOf, node } from './foreign.ts'

const EXTREMES = {
  int8: Int8Array.of(-128, 127),
  uint8: Uint8Array.of(0, 255),
  int16: Int16Array.of(-(2 ** 15), 2 ** 15 - 1),
  uint16: Uint16Array.of(0, 2 ** 16 - 1),
  int32: Int32Array.of(-(2 ** 31), 2 ** 31 - 1),
  uint32: Uint32Array.of(0, 2 ** 32 - 1),
  int64: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n),
  uint64: BigUint64Array.of(0n, 2n ** 64n - 1n),
} as const satisfies Record<string, TypedArray>

/** The field that ONNX has for elements of a dtype, where there are no raw bytes. */
function listed(t: TensorProto, dtype: string, data: TypedArray): TensorProto {
  const { rawData, ...rest } = t
  if (dtype === 'int64') return { ...rest, int64Data: [...(data as BigInt64Array)] }
  if (dtype === 'uint64') return { ...rest, uint64Data: [...(data as BigUint64Array)] }
  const values = Array.from(data, Number)
  return dtype === 'uint32' ? { ...rest, uint64Data: values } : { ...rest, int32Data: values }
}

test.each(Object.entries(EXTREMES))('%s constants keep their extremes', async (dtype, data) => {
  const runtime = await nodeRuntime('cpu')
  const t = tensorProto('c', dtype as keyof typeof EXTREMES, [2], data)
  for (const proto of [t, listed(t, dtype, data)]) {
    const bytes = fileOf(
      { input: [], output: [{ name: 'y' }], initializer: [proto], node: [node('Identity', ['c'], 'y')] },
      17,
    )
    const { graph } = importOnnx(readOnnx(bytes, 'x.onnx'), 'x.onnx')
    const session = await runtime.load(lower(graph, { name: 'again' }))
    const { y } = await session.run({})
    await session.close()
    expect([y?.type, y?.dims, y?.data]).toEqual([dtype, [2], data])
  }
})
