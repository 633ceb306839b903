import fc from 'fast-check'
import { expect, test } from 'vitest'
import { gpt, MODELS, mlp, vit } from '../../../models/index.ts'
import { type Graph, nodesOf } from '../../../src/graph/graph.ts'
import { input, parameter } from '../../../src/graph/leaf.ts'
import { bytesOf, memoryOf } from '../../../src/graph/memory.ts'
import { print } from '../../../src/graph/print.ts'
import type { AnyTensor } from '../../../src/graph/tensor.ts'
import type { Model } from '../../../src/nn/model.ts'
import { exp, grad, matmul, mul, sum, tanh } from '../../../src/ops/index.ts'
import { minCut } from '../../../src/passes/min-cut.ts'
import { recompute } from '../../../src/passes/recompute.ts'
import { deviceOf } from '../../../src/runtime/device.ts'
import { classification } from '../../../src/tasks/index.ts'
import { plansOf } from '../../../src/train/plans.ts'
import { compileStep } from '../../../src/train/step/step.ts'

const { target } = deviceOf('cpu')
function step(model: Model, recompute = false): Graph {
  const { plans } = plansOf(model, { task: classification() })
  return compileStep(plans[0]!, { sizes: { batch: 32 }, target, recompute }).graph
}

/** ∂y/∂wᵢ for y = Σ f(f(x w₀) w₁) …: the elementwise results of every layer are read again on the way back. */
function layers(count: number): Graph {
  const x: AnyTensor = input('x', 'float32', [64, 8])
  const w = Array.from({ length: count }, () => parameter([8, 8], { kind: 'normal', std: 1 }) as AnyTensor)
  const named = (prefix: string, all: readonly AnyTensor[]) =>
    Object.fromEntries(all.map((t, i) => [prefix + i, t]))
  const y = w.reduce((h, wi) => {
    const z = matmul(h, wi)
    return mul(tanh(z), exp(z))
  }, x)
  return { inputs: { x }, parameters: named('w', w), outputs: named('dw', grad(sum(y), w)) }
}

test('what a layer multiplies is computed from the product again, in the place where it is read', () => {
  expect(print(recompute(layers(2)))).toMatchInlineSnapshot(`
    "input x:f32[64,8]
    parameter w0:f32[8,8]
    parameter w1:f32[8,8]
    v0:f32[8,64] = Transpose(x) {perm=[1,0]}
    v1:f32[1,1] = Reshape(1) {shape=[1,1]}
    v2:f32[64,8] = Expand(v1) {shape=[64,8]}
    v3:f32[64,8] = MatMul(x, w0)
    v4:f32[64,8] = Tanh(v3)
    v5:f32[64,8] = Exp(v3)
    v6:f32[64,8] = Mul(v4, v5)
    v7:f32[64,8] = MatMul(v6, w1)
    v8:f32[1,64,8] = Reshape(v7) {shape=[1,64,8]}
    v9:f32[1,64,8] = Tanh(v8)
    v10:f32[64,8] = Reshape(v9) {shape=[64,8]}
    v11:f32[64,8] = Mul(v2, v10)
    v12:f32[1,64,8] = Exp(v8)
    v13:f32[64,8] = Reshape(v12) {shape=[64,8]}
    v14:f32[64,8] = Mul(v11, v13)
    v15:f32[64,8] = Mul(v2, v13)
    v16:f32[64,8] = Mul(v10, v10)
    v17:f32[64,8] = Mul(v15, v16)
    v18:f32[64,8] = Sub(v15, v17)
    v19:f32[64,8] = Add(v14, v18)
    v20:f32[8,8] = Transpose(w1) {perm=[1,0]}
    v21:f32[64,8] = MatMul(v19, v20)
    v22:f32[1,64,8] = Reshape(v3) {shape=[1,64,8]}
    v23:f32[1,64,8] = Tanh(v22)
    v24:f32[64,8] = Reshape(v23) {shape=[64,8]}
    v25:f32[64,8] = Mul(v21, v24)
    v26:f32[1,64,8] = Exp(v22)
    v27:f32[64,8] = Reshape(v26) {shape=[64,8]}
    v28:f32[64,8] = Mul(v25, v27)
    v29:f32[64,8] = Mul(v21, v27)
    v30:f32[64,8] = Mul(v24, v24)
    v31:f32[64,8] = Mul(v29, v30)
    v32:f32[64,8] = Sub(v29, v31)
    v33:f32[64,8] = Add(v28, v32)
    v34:f32[8,8] = MatMul(v0, v33)
    v35:f32[8,64] = Transpose(v6) {perm=[1,0]}
    v36:f32[8,8] = MatMul(v35, v19)
    return dw0=v34, dw1=v36"
  `)
})

const { lecture, small } = MODELS.vit.presets
const models: [string, Model, number][] = [
  ['lecture', vit(lecture), 0.95],
  ['small', vit(small), 0.9],
  ['dropout', vit({ ...lecture, dropout: 0.1 }), 0.85],
  ['gpt', gpt(MODELS.gpt.presets.char), 0.85],
]
test.each(models)('a step of %s needs less memory, and not one matrix product more', (_, model, share) => {
  const [before, after] = [step(model), step(model, true)]
  const heavy = (graph: Graph) => nodesOf(graph).filter(node => node.op.macs).length
  expect(memoryOf(after).peak).toBeLessThan(share * memoryOf(before).peak)
  expect(heavy(after)).toBe(heavy(before))
})

test('a step that would gain nothing stays as it is', () => {
  const graph = step(mlp(MODELS.mlp.presets.small))
  expect(recompute(graph)).toBe(graph)
})

test('deeper networks gain more: what a layer keeps is its product alone', () => {
  const gain = (count: number) => memoryOf(layers(count)).peak - memoryOf(recompute(layers(count))).peak
  const one = bytesOf(input('h', 'float32', [64, 8]))
  expect(gain(20) - gain(10)).toBe(10 * 2 * one)
})

test('a minimum cut is the least of all cuts', () => {
  const edge = fc.record({ from: fc.nat(5), to: fc.nat(5), capacity: fc.nat(9) })
  fc.assert(
    fc.property(fc.array(edge, { maxLength: 16 }), edges => {
      const across = (side: (node: number) => boolean) =>
        edges.reduce((n, { from, to, capacity }) => n + (side(from) && !side(to) ? capacity : 0), 0)
      const found = minCut(edges, 0, 5)
      expect(found.has(0) && !found.has(5)).toBe(true)
      // Every choice of the four nodes between source and sink.
      const all = Array.from({ length: 16 }, (_, bits) =>
        across(node => node === 0 || (node < 5 && Boolean(bits & (1 << (node - 1))))),
      )
      expect(across(node => found.has(node))).toBe(Math.min(...all))
    }),
  )
})
