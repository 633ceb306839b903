import { beforeAll, describe, expect, test } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import { readOnnx } from '../../src/export/read.ts'
import { UserError } from '../../src/graph/errors.ts'
import { lookup } from '../../src/graph/present.ts'
import { importOnnx, surveyOnnx } from '../../src/import/import.ts'
import { loadOnnx } from '../../src/import/load.ts'
import { grad } from '../../src/ops/grad.ts'
import { sum } from '../../src/ops/reduce.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { fileOf, int, node, port, weight } from '../ort/foreign.ts'

let runtime: Runtime
beforeAll(async () => {
  runtime = await nodeRuntime('cpu')
})

/** x → MatMul w → Unique's values, whose number only the run time knows → y; `Unique` has no gradient and is not imported. */
const file = (stated: boolean, opset = 17) =>
  readOnnx(
    fileOf(
      {
        initializer: [weight('w', 3, 3)],
        input: [port('x', ['batch', 3])],
        output: [port('y', ['', 1])],
        ...(stated ? { valueInfo: [port('u', [''])] } : {}),
        node: [
          node('MatMul', ['x', 'w'], 'm', '/fc/MatMul'),
          node('Unique', ['m'], 'u', '/unique/Unique', [int('sorted', 1)]),
          node('Unsqueeze', ['u', 'one'], 'y'),
        ].map(n => n),
      },
      opset,
    ).slice(),
    'x.onnx',
  )

const withAxis = (stated: boolean, opset = 17) => {
  const info = file(stated, opset)
  info.proto.graph?.initializer?.push({ name: 'one', dims: [1], dataType: 7, int64Data: [1] })
  return info
}

describe('a node that onnxgrad does not compute', () => {
  test('is kept where the file states the types of its outputs, and runs', async () => {
    const { graph, weights, kept } = importOnnx(withAxis(true), 'x.onnx')
    expect(kept).toEqual([
      { type: 'Unique', domain: '', path: 'unique', reason: 'operator Unique is not supported' },
    ])
    const bytes = lower(graph, { name: 'again', opset: 17, weights: name => lookup(weights, name).data })
    expect(readOnnx(bytes, 'again.onnx').proto.graph?.node?.map(n => n.opType)).toEqual([
      'MatMul',
      'Unique',
      'Reshape',
    ])
    const session = await runtime.load(bytes)
    const { y } = await session.run({ x: runtime.tensor('float32', new Float32Array(6), [2, 3]) })
    expect(y?.dims).toEqual([1, 1])
    // Written and read once more, it is the same.
    expect(importOnnx(readOnnx(bytes, 'again.onnx'), 'again.onnx').kept.map(n => n.type)).toEqual(['Unique'])
  })

  test('is refused by name where it does not', () => {
    expect(() => importOnnx(withAxis(false), 'x.onnx')).toThrow(UserError)
    expect(() => importOnnx(withAxis(false), 'x.onnx')).toThrow(
      /^x\.onnx: node \/unique\/Unique \(Unique\): operator Unique is not supported$/,
    )
  })

  test('lets no gradient pass, and says what to do', () => {
    const { graph } = importOnnx(withAxis(true), 'x.onnx')
    const { w } = graph.parameters
    expect(() => grad(sum(lookup(graph.outputs, 'y')), w ? [w] : [])).toThrow(
      /^Unique has no gradient: it is kept as its file has it; freeze the layers before it \(in unique\)$/,
    )
  })

  test('is written only where it means the same', () => {
    const { graph, weights } = importOnnx(withAxis(true, 11), 'x.onnx')
    const write = (opset: number) =>
      lower(graph, { name: 'again', opset, weights: name => lookup(weights, name).data })
    // Unique has had one definition since opset 11.
    expect(write(22).length).toBeGreaterThan(0)
  })

  test('is told apart in a survey of the file', () => {
    expect(surveyOnnx(withAxis(true), 'x.onnx').outcomes?.map(o => o.kind)).toEqual([
      'imported',
      'kept',
      'imported',
    ])
    expect(surveyOnnx(withAxis(false), 'x.onnx').outcomes?.map(o => o.kind)).toEqual([
      'imported',
      'refused',
      'unreached',
    ])
  })
})

test('a model with a kept node is refused by load only where nothing states its type', () => {
  const bytes = (stated: boolean) =>
    fileOf({
      initializer: [weight('w', 3, 3)],
      input: [port('x', ['batch', 3])],
      output: [port('y', ['', 3])],
      ...(stated ? { valueInfo: [port('u', [''])] } : {}),
      node: [
        node('Unique', ['x'], 'u', '/u/Unique'),
        node('MatMul', ['x', 'w'], 'm'),
        node('Add', ['m', 'u'], 'y'),
      ],
    })
  expect([...loadOnnx(bytes(true), 'x.onnx').parameters.keys()]).toEqual(['w'])
  expect(() => loadOnnx(bytes(false), 'x.onnx')).toThrow(
    /is not supported; onnxgrad inspect FILE shows all that does not import$/,
  )
})
