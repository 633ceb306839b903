import { beforeAll, describe, expect, test } from 'vitest'
import { decode, encode } from '../../src/export/codec.ts'
import { lower } from '../../src/export/lower.ts'
import { type AttributeProto, type GraphProto, Model, type TensorProto } from '../../src/export/onnx-proto.ts'
import { readOnnx } from '../../src/export/read.ts'
import { tensorProto } from '../../src/export/tensor-data.ts'
import { UserError } from '../../src/graph/errors.ts'
import type { Graph } from '../../src/graph/graph.ts'
import type { Int64 } from '../../src/graph/int64.ts'
import { constant, filledWith, input } from '../../src/graph/leaf.ts'
import { print } from '../../src/graph/print.ts'
import { importOnnx } from '../../src/import/import.ts'
import { add, mul } from '../../src/ops/elementwise.ts'
import { slice } from '../../src/ops/layout.ts'
import { simplify } from '../../src/passes/simplify.ts'
import { evaluate, graphOf } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { OrtTensors, Runtime } from '../../src/runtime/session.ts'
import { fileOf, int, node, port, tensor } from './foreign.ts'

const MOST = 2n ** 63n - 1n
const LEAST = -(2n ** 63n)
/** The first integer that a double loses, and other extremes. */
const EXTREMES = [2n ** 53n + 1n, -(2n ** 53n) - 1n, MOST, MOST - 1n, LEAST, LEAST + 1n, 0n, -1n]
const INT64 = 7

let runtime: Runtime
beforeAll(async () => {
  runtime = await nodeRuntime('cpu')
})

const raw = (name: string, values: readonly bigint[], dims = [values.length]): TensorProto =>
  tensorProto(name, 'int64', dims, BigInt64Array.from(values))
const listed = (name: string, values: readonly bigint[]): TensorProto => ({
  name,
  dims: [values.length],
  dataType: INT64,
  int64Data: [...values],
})
const ints = (name: string, values: Int64[]): AttributeProto => ({ name, type: 7, ints: values })
const read = (bytes: Uint8Array) => importOnnx(readOnnx(bytes, 'x.onnx'), 'x.onnx')
const again = (bytes: Uint8Array): Uint8Array => {
  const { graph, weights } = read(bytes)
  return lower(graph, { name: 'again', opset: 17, weights: name => weights.get(name)!.data })
}

async function run(bytes: Uint8Array, feeds: OrtTensors) {
  const session = await runtime.load(bytes)
  const got = await session.run(feeds)
  const values = Object.values(got).map(t => ({ dims: [...t.dims], data: Array.from<Int64>(t.data) }))
  await session.close()
  return values
}

const row = Float32Array.from({ length: 10 }, (_, i) => i)
const floats = () => ({ x: runtime.tensor('float32', row, [2, 5]) })
const integers = () => ({ x: runtime.tensor('int64', BigInt64Array.from(EXTREMES), [8]) })

describe('a file with integers beyond 2^53 computes the same after import and export', () => {
  const x = port('x', [2, 5])
  const y = port('y', ['a', 'b'])
  const sliced = (starts: Int64, ends: Int64, axis = 1): [GraphProto, number] => [
    {
      input: [x],
      output: [y],
      node: [
        node('Slice', ['x'], 'y', '', [ints('starts', [starts]), ints('ends', [ends]), ints('axes', [axis])]),
      ],
    },
    9,
  ]
  const slicedByInputs = (starts: bigint, ends: bigint, step: bigint): [GraphProto, number] => [
    {
      input: [x],
      output: [y],
      initializer: [raw('s', [starts]), raw('e', [ends]), raw('a', [1n]), raw('t', [step])],
      node: [node('Slice', ['x', 's', 'e', 'a', 't'], 'y')],
    },
    17,
  ]
  const trilu = (k: bigint): [GraphProto, number] => [
    { input: [x], output: [y], initializer: [raw('k', [k], [])], node: [node('Trilu', ['x', 'k'], 'y')] },
    17,
  ]

  test.each<[string, [GraphProto, number], number]>([
    ['Slice, ends = 2^63 - 1 as an attribute', sliced(2, MOST), 3],
    ['Slice, ends = 2^63 - 2 as an attribute', sliced(2, MOST - 1n), 3],
    ['Slice, ends = 2^53 as an attribute', sliced(2, 2n ** 53n), 3],
    ['Slice, starts = -2^63 as an attribute', sliced(LEAST, 3), 3],
    ['Slice, starts beyond the end', sliced(MOST - 5n, MOST), 0],
    ['Slice, ends before the start', sliced(0, LEAST), 0],
    ['Slice along a negative axis', sliced(1, MOST, -1), 4],
    ['Slice, ends = 2^63 - 1 as an input', slicedByInputs(2n, MOST, 1n), 3],
    ['Slice, to the left', slicedByInputs(MOST, LEAST, -1n), 5],
    ['Slice, step = 2^62', slicedByInputs(1n, MOST, 2n ** 62n), 1],
    ['Trilu, k = 2^62', trilu(2n ** 62n), 5],
    ['Trilu, k = -2^62', trilu(-(2n ** 62n)), 5],
  ])('%s', async (_, [graph, opset], columns) => {
    const bytes = fileOf(graph, opset)
    const want = await run(bytes, floats())
    expect(want[0]!.dims).toEqual([2, columns])
    expect(await run(again(bytes), floats())).toEqual(want)
  })

  const v = port('x', [8], INT64)
  const constantOf = (attribute: AttributeProto[]): GraphProto => ({
    input: [v],
    output: [port('y', [8], INT64)],
    node: [node('Constant', [], 'c', '', attribute), node('Sub', ['x', 'c'], 'y')],
  })
  const known = (nodes: GraphProto['node'], values: readonly bigint[] = [MOST]): GraphProto => ({
    input: [v],
    output: [port('y', [''], INT64)],
    initializer: [raw('c', values), raw('one', [1n])],
    node: nodes,
  })
  test.each<[string, GraphProto]>([
    [
      'initializer as raw data',
      { ...constantOf([]), initializer: [raw('c', EXTREMES)], node: [node('Sub', ['x', 'c'], 'y')] },
    ],
    [
      'initializer as a list',
      { ...constantOf([]), initializer: [listed('c', EXTREMES)], node: [node('Sub', ['x', 'c'], 'y')] },
    ],
    ['Constant, a tensor of raw data', constantOf([tensor('value', raw('', EXTREMES))])],
    ['Constant, a tensor as a list', constantOf([tensor('value', listed('', EXTREMES))])],
    ['Constant, value_int', constantOf([{ name: 'value_int', type: 2, i: MOST }])],
    ['Constant, value_ints', constantOf([ints('value_ints', EXTREMES)])],
    [
      'ConstantOfShape',
      {
        ...constantOf([]),
        initializer: [raw('n', [8n])],
        node: [
          node('ConstantOfShape', ['n'], 'c', '', [tensor('value', raw('', [LEAST + 1n]))]),
          node('Sub', ['x', 'c'], 'y'),
        ],
      },
    ],
    [
      'Where and Equal, a mask with the least integer',
      {
        ...constantOf([]),
        initializer: [raw('least', [LEAST + 1n], []), raw('most', [MOST], [])],
        node: [node('Equal', ['x', 'least'], 'e'), node('Where', ['e', 'most', 'x'], 'y')],
      },
    ],
    [
      'Clip between the extremes',
      {
        ...constantOf([]),
        initializer: [raw('low', [LEAST + 1n], []), raw('high', [MOST - 1n], [])],
        node: [node('Clip', ['x', 'low', 'high'], 'y')],
      },
    ],
    ['arithmetic on a constant', known([node('Sub', ['c', 'one'], 'y')])],
    ['arithmetic that stays within 64 bits', known([node('Mul', ['c', 'c'], 'y')], [2n ** 31n + 1n])],
    [
      'comparison of constants that round to one double',
      known([
        node('Sub', ['c', 'one'], 'd'),
        node('Equal', ['c', 'd'], 'e'),
        node('Where', ['e', 'one', 'c'], 'y'),
      ]),
    ],
    [
      'cast to int32 and back',
      known(
        [node('Cast', ['c'], 'd', '', [int('to', 6)]), node('Cast', ['d'], 'y', '', [int('to', INT64)])],
        [2n ** 32n + 5n, MOST],
      ),
    ],
    [
      'cast to float and back',
      known(
        [node('Cast', ['c'], 'd', '', [int('to', 1)]), node('Cast', ['d'], 'y', '', [int('to', INT64)])],
        [2n ** 24n + 1n, 7n],
      ),
    ],
    [
      'Shape that ends at 2^63 - 1',
      known([node('Shape', ['x'], 'y', '', [{ name: 'end', type: 2, i: MOST }])]),
    ],
  ])('%s', async (_, graph) => {
    const bytes = fileOf(graph)
    const [want] = await run(bytes, integers())
    expect((await run(again(bytes), integers()))[0]).toEqual(want)
  })
})

test('where an integer beyond 2^53 cannot be meant, the file is refused by name and number', () => {
  const file = (attribute: AttributeProto) =>
    fileOf({
      input: [port('x', [2, 5])],
      output: [port('y', [5, 2])],
      node: [node('Transpose', ['x'], 'y', 't', [attribute])],
    })
  const attempt = () => read(file(ints('perm', [MOST, 0])))
  expect(attempt).toThrow(UserError)
  expect(attempt).toThrow(
    'x.onnx: node t (Transpose): perm holds 9223372036854775807; its integers must be within ±2^53',
  )
  expect(read(file(ints('perm', [1, 0]))).graph.outputs.y!.shape).toEqual([5, 2])
})

test('the codec keeps every int64, and refuses sizes that are none', () => {
  const all = [
    ...EXTREMES,
    1n,
    127n,
    128n,
    -128n,
    2n ** 49n - 1n,
    2n ** 49n,
    2n ** 56n,
    -(2n ** 49n),
    2n ** 53n - 1n,
  ]
  const bytes = fileOf({ node: [node('Constant', [], 'c', '', [ints('value_ints', all)])] })
  const got = decode(Model, bytes, 'x').graph!.node![0]!.attribute![0]!.ints!
  expect(got.map(BigInt)).toEqual(all)
  expect(got.every(v => (typeof v === 'bigint') !== Number.isSafeInteger(Number(v)))).toBe(true)
  expect(encode(Model, decode(Model, bytes, 'x'))).toEqual(bytes)
  const sized = fileOf({ input: [port('x', [2 ** 53])] })
  expect(() => decode(Model, sized, 'x.onnx')).toThrow(
    'x.onnx: not a valid ONNX file (a length is 9007199254740992)',
  )
})

describe('graphs of our own', () => {
  test('slice to ends that no axis has, in whatever way they are said', async () => {
    const x = input('x', 'float32', [2, 5])
    const ends = [Number.POSITIVE_INFINITY, 2 ** 63, 2 ** 53, Number.MAX_SAFE_INTEGER, 5]
    const outputs = Object.fromEntries(ends.map((end, i) => [`y${i}`, slice(x, 1, 2, end)]))
    const got = await evaluate(runtime, outputs, { x: row })
    for (const { dims, data } of Object.values(got)) {
      expect(dims).toEqual([2, 3])
      expect([...data]).toEqual([2, 3, 4, 7, 8, 9])
    }
    expect(() => lower(graphOf({ y: slice(x, 1, 0.5, 3) }), { name: 'y' })).toThrow(
      'starts is 0.5; it must be an integer within ±2^53',
    )
  })

  test('hold int64 constants and feeds exactly, or refuse them', async () => {
    const x = input('x', 'int64', [8])
    const c = constant(EXTREMES, 'int64', [8])
    const got = await evaluate(runtime, { y: add(x, c), z: c }, { x: BigInt64Array.from(EXTREMES, () => 0n) })
    expect([...got.y!.data]).toEqual(EXTREMES)
    expect([...got.z!.data]).toEqual(EXTREMES)
    expect(print({ inputs: {}, parameters: {}, outputs: { c: constant(MOST, 'int64', []) } })).toBe(
      'return c=9223372036854775807',
    )
    expect(constant(MOST, 'int64', [])).toBe(constant(MOST, 'int64', []))
    expect(constant(MOST, 'int64', [])).not.toBe(constant(MOST - 1n, 'int64', []))
    expect(filledWith(constant(2n ** 40n, 'int64', []))).toBe(2 ** 40)
    for (const [value, shown] of [
      [2 ** 63, '9223372036854775808'],
      [2n ** 64n, '18446744073709551616'],
      [Number.NaN, 'NaN'],
      [Number.POSITIVE_INFINITY, 'Infinity'],
    ] as const)
      expect(() => constant(value, 'int64', [])).toThrow(`${shown} does not fit in int64`)
    await expect(evaluate(runtime, { y: add(x, c) }, { x: new Array(8).fill(2 ** 63) })).rejects.toThrow(
      '9223372036854775808 does not fit in int64',
    )
  })

  test('keep their products when they are simplified', async () => {
    const x = input('x', 'int64', [1])
    const y = mul(mul(x, constant(3037000501, 'int64', [])), constant(3037000477, 'int64', []))
    const graph: Graph = graphOf({ y })
    const want = await evaluate(runtime, graph.outputs, { x: [1] })
    expect((await evaluate(runtime, simplify(graph).outputs, { x: [1] })).y).toEqual(want.y)
    expect([...want.y!.data]).toEqual([3037000501n * 3037000477n])
  })
})
