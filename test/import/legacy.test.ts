import { expect, test } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import { readOnnx } from '../../src/export/read.ts'
import { toTyped } from '../../src/export/tensor-data.ts'
import { f32 } from '../../src/graph/sample.ts'
import { importOnnx } from '../../src/import/import.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { fileOfSample, type NodeSample, nodeSample } from './sample.ts'

/** Forms that onnxruntime does not run: it begins with opset 7, and knows `fmod` alone of floats. */
const FORMS: Record<string, { type: string; sample: NodeSample; feeds: number[][]; want: number[] }> = {
  'an operand that is broadcast from an axis on (opset 6)': {
    type: 'Add',
    sample: nodeSample([f32(2, 2, 2), f32(2)], { axis: 1, broadcast: 1 }, { opset: 6 }),
    feeds: [
      [1, 2, 3, 4, 5, 6, 7, 8],
      [10, 20],
    ],
    want: [11, 12, 23, 24, 15, 16, 27, 28],
  },
  'slopes of the channels (opset 6)': {
    type: 'PRelu',
    sample: nodeSample([f32(1, 2, 2), f32(2)], {}, { opset: 6 }),
    feeds: [
      [-1, 2, -3, 4],
      [10, 20],
    ],
    want: [-10, 2, -60, 4],
  },
  'a remainder with the sign of the divisor, of floats': {
    type: 'Mod',
    sample: nodeSample([f32(6), f32(6)]),
    feeds: [
      [5.5, -5.5, 5.5, -5.5, 6, -6],
      [3, 3, -3, -3, -3, 3],
    ],
    want: [2.5, 0.5, -0.5, -2.5, -0, 0],
  },
}

test.each(Object.entries(FORMS))('%s', async (_, { type, sample, feeds, want }) => {
  const runtime = await nodeRuntime('cpu')
  const { graph } = importOnnx(readOnnx(fileOfSample(type, sample), 'x.onnx'), 'x.onnx')
  const session = await runtime.load(lower(graph, { name: 'again' }))
  const tensors = feeds.map((values, i) => {
    const { shape = [] } = sample.inputs[i] as { shape?: readonly number[] }
    return [`x${i}`, runtime.tensor('float32', toTyped(values, 'float32', values.length), shape)] as const
  })
  const { y0 } = await session.run(Object.fromEntries(tensors))
  await session.close()
  expect(Array.from(y0?.data ?? [], Number)).toEqual(want)
})
