import { beforeAll, describe, expect, test } from 'vitest'
import { encode } from '../../src/export/codec.ts'
import { type GraphProto, Model, type ModelProto, type NodeProto } from '../../src/export/onnx-proto.ts'
import { readOnnx } from '../../src/export/read.ts'
import { UserError } from '../../src/graph/errors.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { node, port, tensor, values } from './foreign.ts'

const opsetImport = [
  { domain: '', version: 17 },
  { domain: 'mine', version: 1 },
]
const modelOf = (graph: GraphProto, more: ModelProto = {}): ModelProto => ({
  irVersion: 8,
  opsetImport,
  graph: { name: 'g', input: [port('x', [4])], output: [port('y', [4])], ...graph },
  ...more,
})
const w = values('w', 'float32', [4], [1, 2, 3, 4])
const ADD = node('Add', ['x', 'w'], 'y')

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

async function run(proto: ModelProto): Promise<number[]> {
  const session = await cpu.load(encode(Model, proto))
  const { y } = await session.run({ x: cpu.tensor('float32', Float32Array.of(0, 0, 0, 0), [4]) })
  await session.close()
  return [...(y!.data as Float32Array)]
}

/** Why a model is refused, by what reads files and by what loads them. */
async function refusal(proto: ModelProto): Promise<string> {
  const bytes = encode(Model, proto)
  const error: unknown = await cpu.load(bytes).then(
    () => expect.fail('it was loaded'),
    e => e,
  )
  expect(error).toBeInstanceOf(UserError)
  const loaded = 'cpu: the model could not be loaded: '
  const { message } = error as UserError
  expect(message.startsWith(loaded)).toBe(true)
  const why = message.slice(loaded.length)
  expect(() => readOnnx(bytes, 'x.onnx')).toThrow(`x.onnx: ${why}`)
  return why
}

describe('a tensor cannot stand for more than the file holds', () => {
  const sparse = (size: number) =>
    modelOf({
      sparseInitializer: [{ values: w, indices: values('i', 'int64', [4], [0, 1, 2, 3]), dims: [size] }],
      node: [ADD],
    })

  test('sparse, of a large size', async () => {
    expect(await run(sparse(4))).toEqual([1, 2, 3, 4])
    expect(await refusal(sparse(2 ** 40))).toMatch(
      /^its tensors need 4,398,046,511,\d{3} bytes of memory; at most 2,147,483,648 are allowed$/,
    )
  })

  test('of few elements, of a large size', async () => {
    const claims = (dims: number[]) => modelOf({ initializer: [{ ...w, dims }], node: [ADD] })
    expect(await run(claims([4]))).toEqual([1, 2, 3, 4])
    expect(await refusal(claims([2 ** 30]))).toBe(
      'initializer w: has 4 elements, but its dims [1073741824] need 1073741824: the file is damaged',
    )
    expect(await refusal(claims([2 ** 40, 2 ** 40]))).toMatch(/which no tensor can have$/)
    expect(await refusal(claims([-4]))).toMatch(/has a dim of -4: the file is damaged$/)
  })

  test('in a list of numbers, of any type', async () => {
    const listed = (dataType: number, dims: number[]) =>
      modelOf({ initializer: [{ name: 'v', dataType, dims, int32Data: [1, 2, 3, 4] }, w], node: [ADD] })
    for (const type of [2, 3, 4, 5, 6, 9, 10, 16, 17, 21])
      expect(await refusal(listed(type, [1000]))).toMatch(
        /initializer v: has 4 elements, but its dims \[1000\]/,
      )
    expect(await run(listed(6, [4]))).toEqual([1, 2, 3, 4])
  })
})

describe('functions that call each other', () => {
  const call = (name: string, input: string, output: string): NodeProto => ({
    ...node(name, [input], output),
    domain: 'mine',
  })
  /** Each calls the one before twice. */
  const doubling = (count: number, first: NodeProto[] = [node('Relu', ['x'], 'y')]): ModelProto =>
    modelOf(
      { node: [call(`f${count}`, 'x', 'y')] },
      {
        functions: Array.from({ length: count + 1 }, (_, i) => ({
          name: `f${i}`,
          domain: 'mine',
          input: ['x'],
          output: ['y'],
          node: i ? [call(`f${i - 1}`, 'x', 'z'), call(`f${i - 1}`, 'z', 'y')] : first,
          opsetImport,
        })),
      },
    )

  test('are run as long as they stay small', async () => {
    expect(await run(doubling(5))).toEqual([0, 0, 0, 0])
  })

  test('are refused by the number of nodes that they become, before onnxruntime has them', async () => {
    expect(encode(Model, doubling(30)).length).toBeLessThan(3000)
    const many = /^inlining its functions gives [\d,]+ nodes; at most 262,144 are allowed$/
    expect(await refusal(doubling(30))).toMatch(many)
    const branch = { name: 'b', output: [port('w', [4])], node: [call('f30', 'x', 'w')] }
    const branches = [
      { name: 'then_branch', type: 5, g: branch },
      { name: 'else_branch', type: 5, g: branch },
    ]
    const { functions } = doubling(30)
    const within: GraphProto = {
      initializer: [values('yes', 'bool', [], [1])],
      node: [node('If', ['yes'], 'y', 'if', branches)],
    }
    expect(await refusal(modelOf(within, { functions: functions! }))).toMatch(many)
  })

  test('are refused by the bytes that they become', async () => {
    const zeros = values('', 'float32', [2 ** 16], new Array<number>(2 ** 16).fill(0))
    const first = [node('Constant', [], 'c', 'c', [tensor('value', zeros)]), node('Relu', ['x'], 'y')]
    expect(await run(doubling(1, first))).toEqual([0, 0, 0, 0])
    expect(await refusal(doubling(15, first))).toMatch(/its tensors need 8,589,934,592 bytes of memory/)
  })

  test('are refused when they never end', async () => {
    expect(await refusal(doubling(1, [call('f1', 'x', 'y')]))).toBe('function mine.f0 calls itself')
  })

  test('are refused when they take a graph, which they could run many times over', async () => {
    const given = [node('If', ['x'], 'y', 'if', [{ name: 'then_branch', type: 5, refAttrName: 'g' }])]
    expect(await refusal(doubling(0, given))).toMatch(
      /attribute then_branch: is a graph passed by the caller of a function, which is not supported$/,
    )
  })

  test('are refused when one is defined twice', async () => {
    const twice = doubling(1)
    twice.functions!.push(twice.functions![0]!)
    expect(await refusal(twice)).toBe('function mine.f0 is defined twice')
  })

  // onnxruntime 1.30 aborts the process over it.
  test('are refused when a call gives more than they take', async () => {
    const more: ModelProto = doubling(0)
    more.graph!.node![0]!.input = ['x', 'x']
    expect(await refusal(more)).toBe('node  (f0): has 2 inputs and 1 outputs, but the function 1 and 1')
    const fewer = doubling(0)
    fewer.functions![0]!.output = []
    expect(await refusal(fewer)).toMatch(/has 1 inputs and 1 outputs, but the function 1 and 0$/)
  })
})
