import { expect, test } from 'vitest'
import { MODELS, mlp, vit } from '../../models/index.ts'
import { servingGraph } from '../../src/export/export.ts'
import { input, parameter } from '../../src/graph/leaf.ts'
import { type SummaryRow, summarize } from '../../src/graph/summary.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { layer } from '../../src/nn/layer.ts'
import { dropout, linear } from '../../src/nn/layers.ts'
import { model, parameterCount } from '../../src/nn/model.ts'
import { namedParameters } from '../../src/nn/parts.ts'
import { add, relu } from '../../src/ops/elementwise.ts'
import { reshape } from '../../src/ops/layout.ts'
import { matmul } from '../../src/ops/matmul.ts'

const lecture = vit(MODELS.vit.presets.lecture)
const rowOf = (rows: readonly SummaryRow[], path: string): SummaryRow => rows.find(r => r.layer === path)!
const total = (rows: readonly SummaryRow[], key: 'parameters' | 'macs'): number =>
  rows.reduce((n, r) => n + r[key], 0)
const ones = { kind: 'constant', value: 1 } as const

test('the last block of an exported ViT, of which the CLS token alone is read, has the layers of the others', () => {
  const rows = summarize(servingGraph(lecture))
  const block = (i: number) => rows.filter(r => r.layer.startsWith(`blocks.${i}`))
  expect(block(3).map(r => [r.name, r.parameters])).toEqual(
    block(2).map(r => [r.name.replace('2', '3').replace('norm3', 'norm2'), r.parameters]),
  )
  expect(block(3).map(r => r.output)).toEqual([
    ['batch', 1, 64],
    ['batch', 17, 64],
    ['batch', 1, 64],
    ['batch', 1, 64],
    ['batch', 1, 64],
  ])
  expect(rowOf(rows, 'blocks.3').macs).toBe(0)
})

test("the lecture's ViT: parameters and multiply–accumulates of every part follow its formulas", () => {
  // N patches of P pixels, T = N + 1 tokens, embedding D, hidden H, K classes
  const [N, P, T, D, H, K, depth] = [16, 49, 17, 64, 128, 10, 4]
  const rows = summarize(lecture.graph)
  expect(rowOf(rows, '')).toMatchObject({ output: ['batch', K], parameters: D + T * D, macs: 0 })
  expect(rowOf(rows, 'patch_embed')).toMatchObject({
    output: ['batch', N, D],
    parameters: P * D + D,
    macs: N * P * D,
  })
  for (let i = 0; i < depth; i++) {
    expect(rowOf(rows, `blocks.${i}.norm1`)).toMatchObject({ parameters: 2 * D, macs: 0 })
    expect(rowOf(rows, `blocks.${i}.attn`)).toMatchObject({
      output: ['batch', T, D],
      parameters: 3 * D * D + 3 * D + D * D + D,
      macs: T * D * 3 * D + 2 * T * T * D + T * D * D,
    })
    expect(rowOf(rows, `blocks.${i}.mlp`)).toMatchObject({
      output: ['batch', T, D],
      parameters: D * H + H + H * D + D,
      macs: 2 * T * D * H,
    })
  }
  expect(rowOf(rows, 'head')).toMatchObject({ output: ['batch', K], parameters: D * K + K, macs: D * K })
  expect(total(rows, 'parameters')).toBe(139_018)
  expect(total(rows, 'macs')).toBe(2_427_008)
})

test('layers come in the order in which they run, each before the layers inside it', () => {
  const paths = summarize(vit({ ...MODELS.vit.presets.lecture, depth: 2 }).graph).map(r => r.layer)
  const block = (i: number) => ['', '.norm1', '.attn', '.norm2', '.mlp'].map(part => `blocks.${i}${part}`)
  expect(paths).toEqual(['', 'patch_embed', ...block(0), ...block(1), 'norm', 'head'])
})

test.each([0, 1, 2, 3, 9])(
  'whatever the depth, here %i, each parameter and product is counted once',
  depth => {
    for (const m of [
      lecture,
      vit({ ...MODELS.vit.presets.lecture, head: [32, 16], dropout: 0.1 }),
      mlp(MODELS.mlp.presets.small),
    ]) {
      const { graph } = m
      const rows = summarize(graph, { depth })
      expect(total(rows, 'parameters')).toBe(parameterCount(m))
      expect(total(rows, 'macs')).toBe(total(summarize(graph), 'macs'))
      expect(Math.max(...rows.map(r => r.depth))).toBe(Math.min(depth, m.name === 'mlp' ? 1 : 3))
    }
  },
)

test('a folded layer keeps its own output, not that of a layer inside it', () => {
  const rows = summarize(lecture.graph, { depth: 1 })
  expect(rowOf(rows, 'blocks.2').output).toEqual(['batch', 17, 64])
  expect(rowOf(rows, 'blocks.2').parameters).toBe(2 * 128 + 16_640 + 16_576)
})

test('a layer that runs twice is one row, with its parameters once and its products twice', () => {
  const shared = linear(8, 8)
  const m = model({
    name: 'twice',
    inputs: { x: { shape: [1, 2, 4] } },
    layers: { fc: shared },
    forward: (self, { x }) => ({ y: self.fc(relu(self.fc(reshape(x, ['batch', 8])))) }),
  })
  expect(summarize(m.graph).slice(1)).toMatchObject([{ layer: 'fc', parameters: 72, macs: 2 * 64 }])
})

test('a parameter belongs to the layer that its name says, also where another layer reads it', () => {
  const inner = layer({}, (_, x: AnyTensor, w: AnyTensor) => matmul(x, w))
  const m = model({
    name: 'lent',
    inputs: { x: { shape: [1, 2, 4] } },
    layers: { table: parameter([8, 8], ones), inner, drop: dropout(0.5) },
    forward: (self, { x }) => ({ y: self.inner(self.drop(reshape(x, ['batch', 8])), self.table) }),
  })
  const rows = summarize(m.graph)
  expect(rows.map(r => [r.layer, r.parameters, r.macs])).toEqual([
    ['', 64, 0],
    ['drop', 0, 0],
    ['inner', 0, 64],
  ])
})

test("names that are no paths, as in other programs' files, count in the layer that reads them", () => {
  const x = input('x', 'float32', ['n', 4])
  const w = parameter([4], ones)
  const net = layer({ fc: layer({}, (_, t: AnyTensor) => add(t, w)) }, (self, t: AnyTensor) => self.fc(t))
  namedParameters(net)
  const graph = { inputs: { x }, parameters: { 'onnx::Add_7': w }, outputs: { y: net(x) } }
  expect(summarize(graph).map(r => [r.layer, r.parameters])).toEqual([
    ['', 0],
    ['fc', 4],
  ])
})

test('a graph that passes its input on has one row', () => {
  const x = input('x', 'float32', ['n', 4])
  expect(summarize({ inputs: { x }, parameters: {}, outputs: { y: x } })).toMatchObject([
    { layer: '', output: ['n', 4], parameters: 0, macs: 0 },
  ])
})
