import { beforeAll, describe, expect, test } from 'vitest'
import { type MLPConfig, MODELS, mlp, vit } from '../../models/index.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { lower } from '../../src/export/lower.ts'
import { readOnnx } from '../../src/export/read.ts'
import { toTyped } from '../../src/export/tensor-data.ts'
import { UserError } from '../../src/graph/errors.ts'
import { nodesOf, type Tensors } from '../../src/graph/graph.ts'
import type { Op } from '../../src/graph/node.ts'
import { allOps } from '../../src/graph/op.ts'
import { rng } from '../../src/graph/random.ts'
import { summarize } from '../../src/graph/summary.ts'
import { type Imported, importOnnx } from '../../src/import/import.ts'
import { initialize, layoutOf, views } from '../../src/nn/layout.ts'
import type { Model } from '../../src/nn/model.ts'
import { inferenceForm } from '../../src/ops/mode.ts'
import { graphOf } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { OrtTensors, Runtime } from '../../src/runtime/session.ts'
import { fileOf, int, node, port, pytorchFile, tensor, values, weight } from './foreign.ts'
import { allCases, type Feeds } from './samples.ts'

let runtime: Runtime
beforeAll(async () => {
  runtime = await nodeRuntime('cpu')
})

const read = (bytes: Uint8Array): Imported => importOnnx(readOnnx(bytes, 'test.onnx'), 'test.onnx')

const write = ({ graph, weights }: Imported, opset: number): Uint8Array =>
  lower(graph, { name: 'again', opset, weights: name => weights.get(name)!.data })

async function runWith(bytes: Uint8Array, feeds: OrtTensors): Promise<Record<string, number[]>> {
  const session = await runtime.load(bytes)
  const got = await session.run(feeds)
  const result = Object.entries(got).map(([name, t]) => [name, Array.from(t.data as Float32Array, Number)])
  await session.close()
  return Object.fromEntries(result)
}

/** Outputs for pixels that differ from one another. */
function run(bytes: Uint8Array, dims: readonly number[], name = 'image'): Promise<Record<string, number[]>> {
  const size = dims.reduce((a, b) => a * b, 1)
  const pixels = Float32Array.from({ length: size }, (_, i) => ((i * 7919) % 255) / 255)
  return runWith(bytes, { [name]: runtime.tensor('float32', pixels, dims) })
}

/** Initializers with their bytes as text, which is quick to compare. */
const initializers = (bytes: Uint8Array) =>
  readOnnx(bytes, 'test.onnx').proto.graph!.initializer!.map(({ rawData, ...rest }) => ({
    ...rest,
    data: Buffer.from(rawData!).toString('base64'),
  }))
const nodes = (bytes: Uint8Array) => readOnnx(bytes, 'test.onnx').proto.graph!.node!

const exported = (model: Model, opset: number): Uint8Array =>
  exportOnnx({ model, params: initialize(layoutOf(model.parameters), 1) }, { opset, probabilities: true })

const models: [string, Model][] = [
  ['ViT', vit(MODELS.vit.presets.lecture)],
  ['MLP', mlp({ ...MODELS.mlp.presets.small, hidden: [20, 12] } satisfies MLPConfig)],
]

describe.each(models)('an exported %s', (_, m) => {
  test.each([17, 21])('read and written again at opset %i is the same file', async opset => {
    const bytes = exported(m, opset)
    const again = write(read(bytes), opset)
    expect(nodes(again)).toEqual(nodes(bytes))
    expect(initializers(again)).toEqual(initializers(bytes))
    expect(await run(again, [3, 1, 28, 28])).toEqual(await run(bytes, [3, 1, 28, 28]))
  })

  test('read at one opset and written at another gives the same numbers', async () => {
    const bytes = exported(m, 17)
    const again = await run(write(read(bytes), 21), [2, 1, 28, 28])
    for (const [name, want] of Object.entries(await run(bytes, [2, 1, 28, 28])))
      want.forEach((v, i) => {
        expect(again[name]![i]).toBeCloseTo(v, 5)
      })
  })

  test('has the layers of the model that it was made of', () => {
    const values = views(layoutOf(m.parameters), initialize(layoutOf(m.parameters), 1))
    const bytes = lower(inferenceForm(m.graph), { name: 'm', opset: 21, weights: name => values.get(name)! })
    const { graph, weights } = read(bytes)
    expect([...weights.keys()]).toEqual([...m.parameters.keys()])
    expect(summarize(graph, { depth: 3 })).toEqual(summarize(m.graph, { depth: 3 }))
  })
})

test('every op comes back from a file as it was written', async () => {
  const feeds: Feeds = {}
  // Dropout is the identity in a file that is run, so it goes; fused products come back as their parts.
  const comesBack = (op: Op): boolean => !op.random && !['Gemm', 'FusedMatMul'].includes(op.type)
  const outputs: Tensors = Object.fromEntries(
    allCases('float32', feeds)
      .filter(c => comesBack(c.op))
      .flatMap(c => c.apply(c.inputs).outputs.map((t, k) => [`${c.name}/y${k}`, t] as const)),
  )
  const graph = graphOf(outputs)
  const bytes = lower(graph, { name: 'ops', opset: 21 })
  const again = write(read(bytes), 21)
  expect(new Set(nodes(bytes).map(n => n.opType)).size).toBe(allOps().filter(comesBack).length)
  expect(nodes(again)).toEqual(nodes(bytes))
  const tensors = Object.entries(graph.inputs).map(([name, t]) => {
    const data = toTyped(feeds[name]!, t.dtype, feeds[name]!.length)
    return [name, runtime.tensor(t.dtype, data, t.shape as number[])] as const
  })
  const given = Object.fromEntries(tensors)
  expect(await runWith(again, given)).toEqual(await runWith(bytes, given))
})

describe('a file in the style of PyTorch', () => {
  test.each(['N', ''])('keeps its open batch size (%j) through shapes computed at run time', async batch => {
    const bytes = pytorchFile(batch)
    const model = read(bytes)
    const b = batch || '?0'
    expect(model.graph.outputs.scores!.shape).toEqual([b, 3])
    expect(summarize(model.graph).map(r => [r.layer, r.output, r.parameters, r.macs])).toEqual([
      ['', [b, 3], 8, 0],
      ['patch', [b, 4, 8], 0, 0],
      ['patch.proj', [b, 8, 2, 2], 8 * 4 + 8, 4 * 8 * 4],
      ['blocks.0', [b, 5, 8], 0, 0],
      ['blocks.0.fc', [b, 5, 8], 8 * 8 + 8, 5 * 8 * 8],
      ['blocks.0.act', [b, 5, 8], 0, 0],
      ['head', [b, 3], 3 * 8 + 3, 3 * 8],
    ])
    const want = await run(bytes, [3, 1, 4, 4], 'pixels')
    const got = await run(write(model, 17), [3, 1, 4, 4], 'pixels')
    want.scores!.forEach((v, i) => {
      expect(got.scores![i]).toBeCloseTo(v, 5)
    })
    expect(readOnnx(write(model, 17), 'again').proto.graph!.input).toMatchObject([
      port('pixels', [batch, 1, 4, 4]),
    ])
  })

  test('weights are float initializers of more than one element, the rest are constants', () => {
    expect([...read(pytorchFile('N')).weights].map(([name, w]) => [name, w.dims])).toEqual([
      ['cls_token', [1, 1, 8]],
      ['patch.proj.weight', [8, 1, 2, 2]],
      ['patch.proj.bias', [8]],
      ['onnx::MatMul_31', [8, 8]],
      ['blocks.0.fc.bias', [8]],
      ['head.weight', [3, 8]],
      ['head.bias', [3]],
    ])
  })

  test('nodes without a path belong to the layer of the weights that they read', () => {
    const { graph } = read(
      fileOf({
        initializer: [weight('net.fc.weight', 2, 4), weight('net.fc.bias', 2)],
        input: [port('x', [1, 4])],
        output: [port('y', [1, 2])],
        node: [node('Gemm', ['x', 'net.fc.weight', 'net.fc.bias'], 'y', 'Gemm_0', [int('transB', 1)])],
      }),
    )
    expect(
      nodesOf(graph)
        .filter(n => n.op.type === 'MatMul')
        .map(n => n.scope),
    ).toEqual(['net.fc'])
  })
})

test('sizes that ONNX compares only when the model runs are unknown rather than refused', () => {
  const { graph } = read(
    fileOf({
      input: [port('a', ['n', 4]), port('b', ['m', 4])],
      output: [port('y', ['n', 4])],
      node: [node('Add', ['a', 'b'], 'y')],
    }),
  )
  expect(graph.outputs.y!.shape).toEqual([-1, 4])
})

test('a dropout is read as the identity unless the file was exported in training mode', () => {
  const dropped = (training: number) =>
    read(
      fileOf({
        initializer: [values('r', 'float32', [], [0.2]), values('t', 'bool', [], [training])],
        input: [port('x', [2])],
        output: [port('y', [2])],
        node: [node('Dropout', ['x', 'r', 't'], 'd', '', [int('seed', 3)]), node('Relu', ['d'], 'y')],
      }),
    ).graph
  expect(nodesOf(dropped(0)).map(n => n.op.type)).toEqual(['Input', 'Relu'])
  const [, drop] = nodesOf(dropped(1))
  expect(drop?.op.type).toBe('Dropout')
  expect(drop?.attrs.rate).toBeCloseTo(0.2, 6)
})

test('half precision becomes float32, with the same values', async () => {
  const bits = { name: 'scale', dims: [2], rawData: Uint8Array.of(0xcd, 0x3d, 0x80, 0xbf) } // 0.1, -1
  const half = values('half', 'float16', [2], [0.1, -1])
  const file = (scale: typeof half, elemType: number) =>
    fileOf({
      initializer: [scale],
      input: [port('x', [2], elemType)],
      output: [port('y', [2], elemType)],
      node: [node('Mul', ['x', scale.name ?? ''], 'y')],
    })
  const feeds = { x: runtime.tensor('float32', Float32Array.of(2, 3), [2]) }
  const brain = await runWith(write(read(file({ ...bits, dataType: 16 }, 16)), 17), feeds)
  expect(brain.y).toEqual([0.2001953125, -3])
  const ieee = await runWith(write(read(file(half, 10)), 17), feeds)
  expect(ieee.y).toEqual([0.199951171875, -3])
})

const float = (name: string, f: number) => ({ name, type: 1, f })

describe('an operator that is said with others', () => {
  const cases: [string, Parameters<typeof node>[4], number][] = [
    ['LeakyRelu', [], 1],
    ['LeakyRelu', [float('alpha', 0.3)], 1],
    ['Elu', [], 1],
    ['Elu', [float('alpha', 0.5)], 1],
    ['Softplus', [], 1],
    ['Softsign', [], 1],
    ['HardSwish', [], 1],
    ['Flatten', [], 1],
    ['Flatten', [int('axis', 2)], 1],
    ['Max', [], 3],
    ['Min', [], 1],
    ['Sum', [], 3],
    ['ArgMax', [int('select_last_index', 0)], 1],
    ['Transpose', [], 1],
    ['ReduceMean', [], 1],
    ['Softmax', [], 1],
  ]

  test.each(cases)('%s %j of %i tensors computes what the runtime does', async (type, attributes, count) => {
    const names = ['a', 'b', 'c'].slice(0, count)
    const integers = type === 'ArgMax'
    const bytes = fileOf({
      input: names.map(name => port(name, [2, 3, 4])),
      output: [port('y', ['', '', ''].slice(0, type === 'Flatten' ? 2 : 3), integers ? 7 : 1)],
      node: [node(type, names, 'y', '', attributes)],
    })
    const random = rng(type)
    const feeds = Object.fromEntries(
      names.map(name => [
        name,
        runtime.tensor(
          'float32',
          Float32Array.from({ length: 24 }, () => 2 * random.normal()),
          [2, 3, 4],
        ),
      ]),
    )
    const want = (await runWith(bytes, feeds)).y ?? []
    const got = (await runWith(write(read(bytes), 17), feeds)).y ?? []
    expect(got.length).toBe(want.length)
    for (const [i, v] of want.entries()) expect(got[i]).toBeCloseTo(v, 5)
  })
})

describe('a file that cannot be imported is refused in one line that names the part', () => {
  const x = port('x', [2, 3])
  const y = port('y', [2, 3])
  const relu = node('Relu', ['x'], 'r')
  // The type of `u` is not stated, so that the node before cannot be kept.
  const last = node('Relu', ['u'], 'y')
  const graphs: [string, Parameters<typeof fileOf>[0], RegExp][] = [
    [
      'an unknown operator',
      { input: [x], output: [y], node: [node('Sort', ['x'], 'u', '/a/Sort'), last] },
      /^test\.onnx: node \/a\/Sort \(Sort\): operator Sort is not supported$/,
    ],
    [
      'an input that nothing computes',
      { input: [x], output: [y], node: [node('Relu', ['z'], 'y', 'r')] },
      /node r \(Relu\): needs z, which nothing in the file computes/,
    ],
    [
      'a cycle',
      {
        input: [x],
        output: [y],
        node: [node('Add', ['x', 'b'], 'a', 'p'), node('Relu', ['a'], 'b'), node('Relu', ['b'], 'y')],
      },
      /node p \(Add\): needs b, which only a later node computes/,
    ],
    [
      'an output that nothing computes',
      { input: [x], output: [y], node: [relu] },
      /output y: needs y, which nothing/,
    ],
    ['no outputs', { input: [x], node: [relu] }, /the graph has no outputs/],
    [
      'one name for two tensors',
      { input: [x], output: [y], node: [node('Relu', ['x'], 'y'), node('Relu', ['x'], 'y')] },
      /node number 1 \(Relu\): y is defined twice/,
    ],
    [
      'an input without a type',
      { input: [{ name: 'x' }], output: [x], node: [relu] },
      /input x: is not a tensor/,
    ],
    [
      'absurd dims',
      { input: [port('x', [2 ** 40, 2 ** 40])], output: [x], node: [relu] },
      /input x: has the shape \[1099511627776,1099511627776\], which no tensor can have/,
    ],
    [
      'a weight with too few bytes',
      { initializer: [{ ...weight('w', 2, 3), dims: [2, 4] }], input: [x], output: [x], node: [relu] },
      /initializer w: .* 6 elements, but its dims \[2,4\] need 8/,
    ],
    [
      'a weight with a negative dim',
      { initializer: [{ ...weight('w', 4), dims: [-2, -2] }], input: [x], output: [x], node: [relu] },
      /initializer w: .* dim of -2/,
    ],
    [
      'shapes that do not fit',
      { input: [x, port('z', [4, 4])], output: [y], node: [node('MatMul', ['x', 'z'], 'y', 'm')] },
      /node m \(MatMul\): matmul: inner dims 3 and 4/,
    ],
    [
      'too few inputs',
      { input: [x], output: [y], node: [node('Add', ['x'], 'y', 'a')] },
      /node a \(Add\): has 1 inputs; expected 2/,
    ],
    [
      'too many inputs',
      { input: [x], output: [y], node: [node('Relu', ['x', 'x'], 'y', 'a')] },
      /node a \(Relu\): has 2 inputs; expected 1/,
    ],
    [
      'no inputs of an operator that takes any number',
      { input: [x], output: [y], node: [node('Max', [], 'y', 'a')] },
      /node a \(Max\): has 0 inputs; expected 1 or more/,
    ],
    [
      'a value of an attribute that is not supported',
      {
        input: [x],
        output: [y],
        node: [
          node('Gelu', ['x'], 'u', 'a', [{ name: 'approximate', type: 3, s: Buffer.from('erf') }]),
          last,
        ],
      },
      /node a \(Gelu\): approximate erf is not supported, only none, tanh/,
    ],
    [
      'an attribute of another type',
      { input: [x], output: [y], node: [node('Softmax', ['x'], 'y', 's', [tensor('axis', {})])] },
      /node s \(Softmax\): attribute axis has type 4; expected int \(2\)/,
    ],
    [
      'an attribute that would be lost',
      { input: [x], output: [y], node: [node('Relu', ['x'], 'u', 'r', [int('sharp', 1)]), last] },
      /node r \(Relu\): attribute sharp is not supported/,
    ],
    [
      'a shape that depends on data',
      {
        input: [x, port('s', [2], 7)],
        output: [y],
        node: [node('Reshape', ['x', 's'], 'u', 'r'), last],
      },
      /node r \(Reshape\): input 1 depends on more than the sizes/,
    ],
    [
      'a size that doubles at every node',
      {
        input: [port('x', ['n', 3])],
        output: [port('v40', ['', 3])],
        node: Array.from({ length: 40 }, (_, i) =>
          node('Concat', [i ? `v${i}` : 'x', i ? `v${i}` : 'x'], `v${i + 1}`, '', [int('axis', 0)]),
        ),
      },
      /has a size whose formula is longer than 256 characters/,
    ],
    [
      'control characters in a name',
      { input: [x], output: [y], node: [node('Relu', ['a\u001b[31m\nb'], 'y', 'r')] },
      /needs a�\[31m�b, which/,
    ],
  ]

  test.each(graphs)('%s', (_, graph, message) => {
    const attempt = () => read(fileOf(graph))
    expect(attempt).toThrow(UserError)
    expect(attempt).toThrow(message)
    expect(attempt).toThrow(/^[^\n]*$/)
  })
})
