import { expect, test } from 'vitest'
import { lower } from '../../src/export/lower.ts'
import { readOnnx } from '../../src/export/read.ts'
import { ShapeError } from '../../src/graph/errors.ts'
import { nodesOf } from '../../src/graph/graph.ts'
import { input } from '../../src/graph/leaf.ts'
import { f32 } from '../../src/graph/sample.ts'
import type { Dim } from '../../src/graph/shape.ts'
import type { AnyTensor, Tensor } from '../../src/graph/tensor.ts'
import { importOnnx } from '../../src/import/import.ts'
import { add, mul } from '../../src/ops/elementwise.ts'
import { grad } from '../../src/ops/grad.ts'
import { reshape, slice, transpose } from '../../src/ops/layout.ts'
import { applyRecurrent } from '../../src/ops/recurrent.ts'
import { CELLS } from '../../src/ops/recurrent-cells.ts'
import { unrolled } from '../../src/ops/recurrent-unrolled.ts'
import { sum } from '../../src/ops/reduce.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { fileOfSample, nodeSample } from './sample.ts'

const HIDDEN = 2

/** A GRU with an initial state and no bias. */
function layer(length: Dim, batch: Dim) {
  const inputs = {
    x: input('x', 'float32', [length, batch, 3]),
    w: input('w', 'float32', [1, 3 * HIDDEN, 3]),
    r: input('r', 'float32', [1, 3 * HIDDEN, HIDDEN]),
    h: input('h', 'float32', [1, batch, HIDDEN]),
  }
  const { x, w, r, h } = inputs
  const [y, last]: readonly (AnyTensor | undefined)[] = applyRecurrent('GRU', [x, w, r, h], {
    hidden_size: HIDDEN,
    direction: 'forward',
    given: 'initial_h',
  })
  if (!y || !last) throw new Error('no outputs')
  return { inputs, y, last }
}

test('a sequence whose length is a symbol is read and written as one node, and has no gradient', () => {
  const { inputs, y, last } = layer('seq', 'n')
  expect([y.shape, last.shape]).toEqual([
    ['seq', 1, 'n', HIDDEN],
    [1, 'n', HIDDEN],
  ])
  const bytes = lower({ inputs, parameters: {}, outputs: { y, last } }, { name: 'g' })
  const info = readOnnx(bytes, 'x.onnx')
  expect(info.proto.graph?.node?.map(n => [n.opType, n.input])).toEqual([
    ['GRU', ['x', 'w', 'r', '', '', 'h']],
  ])
  const { graph } = importOnnx(info, 'x.onnx')
  expect(lower(graph, { name: 'g' })).toEqual(bytes)
  expect(() => grad(sum(y), [inputs.x])).toThrow(ShapeError)
  expect(() => grad(sum(y), [inputs.x])).toThrow(
    'GRU: its gradient takes step after step, so the length of the sequence must be known, not seq; give a size for it',
  )
})

test('the batch may be a symbol in the gradient', () => {
  const { inputs, last } = layer(4, 'n')
  expect(grad(sum(last), [inputs.x, inputs.h]).map(g => g.shape)).toEqual([
    [4, 'n', 3],
    [1, 'n', HIDDEN],
  ])
})

test('a gradient is that of the steps also where inputs depend on each other and the loss is not linear', async () => {
  const [x, w, r] = [
    input('x', 'float32', [4, 2, HIDDEN]),
    input('w', 'float32', [1, 4 * HIDDEN, HIDDEN]),
    input('r', 'float32', [1, 4 * HIDDEN, HIDDEN]),
  ]
  const state = slice(reshape(x, [1, 8, HIDDEN]), 1, 0, 2)
  const inputs: AnyTensor[] = [x, w, r, state, state]
  const attrs = { hidden_size: HIDDEN, direction: 'forward', given: 'initial_h,initial_c' } as const
  const loss = (ys: readonly AnyTensor[]): AnyTensor =>
    ys.map((y): AnyTensor => sum(mul(y, y))).reduce((a, b): AnyTensor => add(a, b))
  const node = applyRecurrent('LSTM', inputs, attrs)
  const none = {
    activations: undefined,
    activation_alpha: undefined,
    activation_beta: undefined,
    clip: undefined,
    input_forget: undefined,
    linear_before_reset: undefined,
  }
  const steps = unrolled('LSTM', CELLS.LSTM, inputs, { ...none, ...attrs })
  const outputs = (ys: readonly AnyTensor[]): Record<string, AnyTensor> =>
    Object.fromEntries(grad(loss(ys), [x, w, r]).map((g, i) => [`g${i}`, g]))
  const wave = (count: number) => Array.from({ length: count }, (_, i) => Math.sin(i * 1.7))
  const feeds = { x: wave(16), w: wave(16), r: wave(16) }
  const runtime = await nodeRuntime('cpu')
  const [got, want] = [
    await evaluate(runtime, outputs(node), feeds),
    await evaluate(runtime, outputs(steps), feeds),
  ]
  for (const [name, { data }] of Object.entries(want))
    for (const [i, v] of Array.from(data, Number).entries())
      expect(got[name]?.data[i], name).toBeCloseTo(v, 4)
})

test('the batch comes first where the file says so', async () => {
  const inputs = [f32(3, 4, 5), f32(1, 8, 5), f32(1, 8, 2)]
  const attrs = { hidden_size: HIDDEN, layout: 1 }
  const { graph } = importOnnx(
    readOnnx(fileOfSample('LSTM', nodeSample(inputs, attrs, { outputs: 3 })), 'x.onnx'),
    'x.onnx',
  )
  expect(Object.values(graph.outputs).map(t => t.shape)).toEqual([
    [3, 4, 1, 2],
    [3, 1, 2],
    [3, 1, 2],
  ])
  expect(nodesOf(graph).filter(n => n.op.type === 'LSTM')).toHaveLength(1)
  const [x, w, r] = Object.values(graph.inputs) as [Tensor, Tensor, Tensor]
  const [y, h] = applyRecurrent('LSTM', [transpose(x, [1, 0, 2]), w, r], {
    hidden_size: HIDDEN,
    direction: 'forward',
    given: '',
  })
  if (!y || !h) throw new Error('no outputs')
  const feeds = Object.fromEntries(
    Object.entries(graph.inputs).map(([name, t]) => {
      const count = t.shape.reduce<number>((a, b) => a * Number(b), 1)
      return [name, Array.from({ length: count }, (_, i) => Math.sin(i + name.length))]
    }),
  )
  const same = { y0: transpose(y, [2, 0, 1, 3]), y1: transpose(h, [1, 0, 2]) }
  const runtime = await nodeRuntime('cpu')
  const [got, want] = [await evaluate(runtime, graph.outputs, feeds), await evaluate(runtime, same, feeds)]
  expect(got.y0?.data).toEqual(want.y0?.data)
  expect(got.y1?.data).toEqual(want.y1?.data)
})
