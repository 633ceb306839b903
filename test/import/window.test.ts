import { describe, expect, test } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import { readOnnx } from '../../src/export/read.ts'
import { lookup } from '../../src/graph/present.ts'
import { UNKNOWN } from '../../src/graph/shape.ts'
import { importOnnx } from '../../src/import/import.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { fileOf, int, ints, node, port, weight } from '../ort/foreign.ts'

type Attributes = Parameters<typeof node>[4]

/** A file with one node over images of any size. */
const file = (type: string, attributes: Attributes, weights: readonly (readonly number[])[] = []) =>
  fileOf({
    input: [port('x', ['n', 2, 'H', 'W'])],
    output: [port('y', ['n', 'c', 'h', 'w'])],
    initializer: weights.map((dims, i) => weight(`w${i}`, ...dims)),
    node: [node(type, ['x', ...weights.map((_, i) => `w${i}`)], 'y', 'window', attributes)],
  })

const read = (bytes: Uint8Array) => importOnnx(readOnnx(bytes, 'x.onnx'), 'x.onnx')
const filters = [[4, 2, 3, 2], [4]]
const text = (name: string, value: string) => ({ name, type: 3, s: new TextEncoder().encode(value) })
const window = (...sizes: number[]) => ints('kernel_shape', sizes)

describe('windows over images of any size', () => {
  test.each([
    ['Conv', [], filters, [UNKNOWN, UNKNOWN]],
    ['Conv', [text('auto_pad', 'SAME_UPPER')], filters, ['H', 'W']],
    ['Conv', [text('auto_pad', 'VALID'), ints('strides', [2, 3])], filters, [UNKNOWN, UNKNOWN]],
    ['ConvTranspose', [ints('strides', [2, 2])], [[2, 4, 2, 3]], ['H*2', 'W*2+1']],
    [
      'ConvTranspose',
      [text('auto_pad', 'SAME_LOWER'), ints('strides', [2, 3])],
      [[2, 4, 5, 5]],
      ['H*2', 'W*3'],
    ],
    ['MaxPool', [window(3, 3), ints('strides', [2, 2]), int('ceil_mode', 1)], [], [UNKNOWN, UNKNOWN]],
    ['AveragePool', [window(3, 3), ints('pads', [1, 1, 1, 1])], [], ['H', 'W']],
    ['AveragePool', [window(3, 2), ints('strides', [2, 2]), int('ceil_mode', 1)], [], [UNKNOWN, UNKNOWN]],
  ] as const)('%s %#', async (type, attributes, weights, sizes) => {
    const bytes = file(type, [...attributes], weights)
    const { graph, weights: values } = read(bytes)
    expect(lookup(graph.outputs, 'y').shape.slice(2)).toEqual(sizes)
    expect(lookup(graph.outputs, 'y').node.op.type).toBe(type)
    const again = lower(graph, { name: 'again', weights: name => lookup(values, name).data })
    const runtime = await nodeRuntime('cpu')
    for (const [height, width] of [
      [6, 7],
      [9, 8],
    ] as const) {
      const data = Float32Array.from({ length: 4 * height * width }, (_, i) => Math.sin(i))
      const x = runtime.tensor('float32', data, [2, 2, height, width])
      const run = async (file: Uint8Array) => {
        const session = await runtime.load(file)
        const got = lookup(await session.run({ x }), 'y')
        await session.close()
        return got
      }
      const [want, got] = [await run(bytes), await run(again)]
      expect(got.dims).toEqual(want.dims)
      expect(got.data).toEqual(want.data)
    }
  })

  test.each([
    ['Conv', [text('auto_pad', 'SAME_UPPER'), ints('strides', [2, 2])], filters],
    ['MaxPool', [window(3, 3), text('auto_pad', 'SAME_LOWER'), ints('strides', [1, 2])], []],
    ['ConvTranspose', [ints('output_shape', [8, 8])], [[2, 4, 2, 3]]],
    ['LpPool', [window(3, 3), int('ceil_mode', 1)], []],
  ] as const)('%s stays as it is where numbers depend on the sizes', (type, attributes, weights) => {
    const [kept] = read(file(type, [...attributes], weights)).kept
    expect(kept?.reason).toContain('give the sizes of the inputs')
  })
})
