import { describe, expect, test } from 'vitest'
import { MODELS, type ModelName } from '../../models/index.ts'
import { encode } from '../../src/export/codec.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { type GraphProto, Model, type NodeProto } from '../../src/export/onnx-proto.ts'
import { readOnnx } from '../../src/export/read.ts'
import { input } from '../../src/graph/leaf.ts'
import { isBounded, workOf } from '../../src/import/bounded.ts'
import { relu } from '../../src/ops/elementwise.ts'
import { matmul } from '../../src/ops/matmul.ts'
import { fileOf, int, ints, node, port, pytorchFile, values, weight } from '../ort/foreign.ts'
import { looping } from '../ort/looping.ts'

const bounded = (bytes: Uint8Array, batch = 1): boolean => isBounded(readOnnx(bytes, 'x.onnx'), batch)

test('work counts products and elements, with the batch size for symbols', () => {
  const x = input('x', 'float32', ['batch', 4])
  const w = input('w', 'float32', [4, 8])
  const y = relu(matmul(x, w))
  // Product: 10·4·8, reading 10·4 + 4·8, writing 10·8. Relu: computing, reading and writing 10·8 each.
  expect(workOf([y], 10)).toEqual({ operations: 320 + 72 + 80 + 240, bytes: 2 * 80 * 4 })
  const sum = input('s', 'float32', ['batch*2+1'])
  expect(workOf([relu(sum)], 10).bytes).toBe(21 * 4)
  expect(workOf([relu(input('u', 'float32', [-1]))], 10).bytes).toBeNaN()
})

describe('known to be bounded are', () => {
  const presets = (Object.keys(MODELS) as ModelName[]).map(
    name => [name, Object.values(MODELS[name].presets)[0]!] as const,
  )
  test.each(presets)('a file of our %s, in the batches that it is evaluated in', (name, config) => {
    const model = MODELS[name].build(config as never)
    const bytes = exportOnnx(model)
    expect(bounded(bytes, 1)).toBe(true)
    expect(bounded(bytes, 250)).toBe(true)
  })

  test("another program's file of the same operators", () => {
    expect(bounded(pytorchFile('N'), 250)).toBe(true)
  })
})

describe('not known to be bounded are', () => {
  const x = port('x', ['n', 4])
  const y = port('y', ['n', 4])
  const one = (nodes: NodeProto[], initializer: GraphProto['initializer'] = []) =>
    fileOf({ input: [x], output: [y], initializer, node: nodes })

  test('loops, branches, functions and operators that are not known, though they say that they are ours', () => {
    expect(bounded(one([node('Relu', ['x'], 'y')]))).toBe(true)
    expect(bounded(one([node('Einsum', ['x'], 'y')]))).toBe(false)
    expect(bounded(fileOf(looping(3)))).toBe(false)
    const ours = { irVersion: 8, producerName: 'onnxgrad', opsetImport: [{ version: 17 }] }
    expect(bounded(encode(Model, { ...ours, graph: looping(3) }))).toBe(false)
    const graph = { input: [x], output: [y], node: [node('Relu', ['x'], 'y')] }
    expect(bounded(encode(Model, { ...ours, graph }))).toBe(true)
    // A function takes the place of the operator whose name it has.
    expect(
      bounded(encode(Model, { ...ours, graph, functions: [{ name: 'Relu', input: ['x'], output: ['y'] }] })),
    ).toBe(false)
  })

  test('small files of much work, whether or not an output needs it', () => {
    const square = (n: number) => [
      values('row', 'int64', [2], [n, 1]),
      values('column', 'int64', [2], [1, n]),
      weight('w', 1, 4),
    ]
    const product = (n: number) =>
      one(
        [
          node('Expand', ['one', 'row'], 'a'),
          node('MatMul', ['a', 'b'], 'c'),
          node('Expand', ['one', 'column'], 'b'),
          node('MatMul', ['c', 'c'], 'd'),
          node('Relu', ['x'], 'y'),
        ].sort((p, q) => Number(p.opType === 'MatMul') - Number(q.opType === 'MatMul')),
        [...square(n), values('one', 'float32', [1, 1], [1])],
      )
    expect(bounded(product(100))).toBe(true)
    expect(bounded(product(10_000))).toBe(false)
  })

  test('small files of much memory', () => {
    const filled = (n: number) =>
      one(
        [
          node('Expand', ['one', 'shape'], 'z'),
          node('ReduceMax', ['z'], 'm', '', [ints('axes', [0, 1])]),
          node('Relu', ['x'], 'y'),
        ],
        [values('one', 'float32', [1, 1], [1]), values('shape', 'int64', [2], [n, n])],
      )
    expect(bounded(filled(100))).toBe(true)
    expect(bounded(filled(20_000))).toBe(false)
  })

  test('pools with windows as large as their image', () => {
    const pool = (side: number) =>
      fileOf({
        input: [port('x', ['n', 1, side, side])],
        output: [port('y', ['n', 1, 1, 1])],
        node: [
          node('MaxPool', ['x'], 'y', '', [
            ints('kernel_shape', [side - 1, side - 1]),
            ints('pads', [side - 2, side - 2, side - 2, side - 2]),
          ]),
        ],
      })
    expect(bounded(pool(16))).toBe(true)
    expect(bounded(pool(1024))).toBe(false)
  })

  test('sizes that only the run time knows', () => {
    const sliced = (end: number) =>
      one([
        node('Slice', ['x'], 'z', '', [ints('starts', [0]), ints('ends', [end]), ints('axes', [0])]),
        node('Relu', ['x'], 'y'),
      ])
    expect(bounded(sliced(3))).toBe(false)
    const softmax = one([node('Softmax', ['x'], 'y', '', [int('axis', -1)])])
    expect(bounded(softmax)).toBe(true)
  })
})
