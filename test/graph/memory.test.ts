import { expect, test } from 'vitest'
import { MODELS, vit } from '../../models/index.ts'
import type { Graph } from '../../src/graph/graph.ts'
import { constant, input } from '../../src/graph/leaf.ts'
import { executionOrder, memoryOf } from '../../src/graph/memory.ts'
import type { AnyTensor, Tensor } from '../../src/graph/tensor.ts'
import { add, exp, matmul, mul, neg, reshape, sum, tanh } from '../../src/ops/index.ts'
import { deviceOf } from '../../src/runtime/device.ts'
import { classification } from '../../src/tasks/index.ts'
import { plansOf } from '../../src/train/plans.ts'
import { compileStep } from '../../src/train/step/step.ts'

const x: AnyTensor = input('x', 'float32', [10, 25])
const KB = 10 * 25 * 4
const ones = (shape: number[]): AnyTensor => constant(1, 'float32', shape)

const graph = (...outputs: AnyTensor[]): Graph => ({
  inputs: { x },
  parameters: {},
  outputs: Object.fromEntries(outputs.map((t, i) => [`y${i}`, t])),
})
const peakOf = (...outputs: AnyTensor[]): number => memoryOf(graph(...outputs)).peak
const types = (g: Graph): string[] => executionOrder(g).map(node => node.op.type)

test('a chain needs two tensors at a time, whatever its length; its result is the caller’s', () => {
  expect(peakOf(exp(tanh(x)))).toBe(KB)
  expect(peakOf(neg(exp(tanh(x))))).toBe(2 * KB)
  const longer = tanh(neg(exp(tanh(neg(exp(tanh(x)))))))
  expect(peakOf(longer)).toBe(2 * KB)
})

test('what is read again later is held until then', () => {
  const saved = exp(x)
  const far = neg(tanh(neg(tanh(saved))))
  expect(peakOf(mul(far, saved))).toBe(3 * KB)
  const { live } = memoryOf(graph(mul(far, saved)))
  expect(live.get(saved)).toBe(KB)
})

test('a view takes no memory and holds that of its source', () => {
  const saved = reshape(exp(x), [25, 10])
  expect(peakOf(neg(saved))).toBe(KB)
  expect(peakOf(mul(neg(tanh(neg(tanh(saved)))), reshape(saved, [25, 10])))).toBe(3 * KB)
})

test('memory that nobody reads waits for the next tensor of its shape', () => {
  const row = sum(exp(x), 1, true)
  const wide = matmul(row, ones([1, 100]))
  const { peak, live } = memoryOf(graph(neg(add(sum(wide, 1, true), x))))
  expect(peak).toBe(KB + 10 * 4 + 10 * 100 * 4)
  expect([...live.keys()]).toEqual([row, wide])
})

test('a size that is not known counts as 1', () => {
  const long = input('long', 'float32', ['n', 25])
  expect(memoryOf({ inputs: { long }, parameters: {}, outputs: { y: neg(exp(long)) } }).peak).toBe(100)
})

test('nodes run depth first, from the last result and the last written input', () => {
  const [a, b] = [exp(x), tanh(x)]
  expect(types(graph(neg(a), sum(b)))).toEqual(['Tanh', 'ReduceSum', 'Exp', 'Neg'])
  expect(types(graph(mul(neg(a), b)))).toEqual(['Tanh', 'Exp', 'Neg', 'Mul'])
  const product = matmul(a, reshape(b, [25, 10]))
  expect(types(graph(product))).toEqual(['Tanh', 'Reshape', 'Exp', 'MatMul'])
})

const { target } = deviceOf('cpu')
function stepOf(preset: 'lecture' | 'small', batch: number): Graph {
  const { plans } = plansOf(vit(MODELS.vit.presets[preset]), { task: classification() })
  return compileStep(plans[0]!, { sizes: { batch }, target }).graph
}

test.each([
  [17, 64, 4, 128, 'lecture'],
  [50, 96, 6, 192, 'small'],
] as const)(
  'a ViT of %i tokens, dim %i, %i heads and MLP %i saves no more than its formulas read again',
  (T, D, H, M, preset) => {
    const batch = 16
    const { live } = memoryOf(stepOf(preset, batch))
    const elements = (t: Tensor): number => (t.shape as number[]).reduce((a, b) => a * b, 1)
    // Layouts differ, but all that is of activations has so many elements for each token; weights have not.
    const saved = [...live.keys()].filter(
      t => t.node.scope.startsWith('blocks.1.') && elements(t) % (batch * T) === 0,
    )
    // Both normed rows, q, k, v and the heads' answer; the attention that is paid; z, 1 + erf z and their product; a
    // deviation for each norm.
    const floats = 6 * D + H * T + 3 * M + 2
    const perToken = saved.reduce((n, t) => n + elements(t), 0) / (batch * T)
    expect(perToken).toBeLessThanOrEqual(floats)
    expect(perToken).toBeGreaterThan(6 * D + H * T + M)
  },
)

test('the peak of a training step grows in proportion to its batch', () => {
  const peak = (batch: number) => memoryOf(stepOf('small', batch)).peak
  const [a, b, c] = [peak(32), peak(64), peak(128)]
  expect((c - b) / (b - a)).toBeCloseTo(2, 0)
})
