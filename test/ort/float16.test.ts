import { beforeAll, describe, expect, test } from 'vitest'
import { buildModel, gpt, lenet, MODELS, type ModelName, resnet } from '../../models/index.ts'
import { type Float16Options, toFloat16 } from '../../src/deploy/float16.ts'
import { deployed } from '../../src/deploy/inference.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { readOnnx, readWeights } from '../../src/export/read.ts'
import { nodesOf, rewrite } from '../../src/graph/graph.ts'
import { constant, parameter } from '../../src/graph/leaf.ts'
import { makeNode } from '../../src/graph/node.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { loadOnnx } from '../../src/import/load.ts'
import { linear } from '../../src/nn/layers.ts'
import { type Model, model, type PortSpecs } from '../../src/nn/model.ts'
import { initialized, type TrainedModel } from '../../src/nn/trained.ts'
import * as ops from '../../src/ops/index.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { openPredictor } from '../../src/train/predictor.ts'

let cpu: Runtime
let wasm: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
  wasm = await nodeRuntime('wasm')
})

/** Values for a model's inputs, three examples of each. */
const feedsOf = ({ graph }: Model, most = 10) =>
  Object.fromEntries(
    Object.entries(graph.inputs).map(([name, { dtype, shape }]) => {
      const dims = shape.map(d => (typeof d === 'number' ? d : 3))
      const at = Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => (i * 7919) % 255)
      const data =
        dtype === 'int32' ? Int32Array.from(at, v => v % most) : Float32Array.from(at, v => v / 255)
      return [name, { data, dims }]
    }),
  )

type Feeds = ReturnType<typeof feedsOf>

async function run(runtime: Runtime, bytes: Uint8Array, feeds: Feeds): Promise<Record<string, number[]>> {
  const p = await openPredictor(runtime, bytes)
  const got = await p.run(feeds)
  await p.close()
  return Object.fromEntries(Object.entries(got).map(([name, { data }]) => [name, Array.from(data, Number)]))
}

/** A float16 tensor as hardware of float16 has it: 11 bits (Veltkamp 1968), and infinite beyond 65504. */
function rounded(t: AnyTensor): AnyTensor {
  const x = ops.cast(t, 'float32') as AnyTensor
  const c = ops.mul(x, 2 ** 13 + 1) as AnyTensor
  const large = ops.greater(ops.abs(x), 65504)
  const infinite = ops.mul(x, Number.POSITIVE_INFINITY) as AnyTensor
  return ops.cast(ops.where(large, infinite, ops.sub(c, ops.sub(c, x))) as AnyTensor, 'float16')
}

/** A model whose tensors of float16 are rounded to it: the CPU computes in float32 what it has no kernel of float16 for. */
const strict = (half: TrainedModel): TrainedModel =>
  deployed(half, graph =>
    rewrite(graph, (node, inputs) =>
      node.inputs.length && node.outputs.some(({ dtype }) => dtype === 'float16')
        ? makeNode(node.op, inputs, node.attrs).outputs.map(t => (t.dtype === 'float16' ? rounded(t) : t))
        : undefined,
    ),
  )

/** How far an output is from what it should be, relative to its largest element. */
const apart = (got: readonly number[] = [], want: readonly number[] = []): number =>
  Math.max(...want.map((v, i) => Math.abs(v - got[i]!))) / Math.max(...want.map(Math.abs))

const weightBytes = (bytes: Uint8Array): number =>
  [...readWeights(readOnnx(bytes, 'x')).values()].reduce((n, { data }) => n + data.byteLength, 0)

/** Operators that compute in float16, in the order of the graph. */
const inHalf = ({ model: { graph } }: TrainedModel): string[] =>
  nodesOf(graph).flatMap(({ op, inputs, outputs }) =>
    inputs.length && outputs[0]?.dtype === 'float16' && op.type !== 'Cast' ? [op.type] : [],
  )
const casts = ({ model: { graph } }: TrainedModel): number =>
  nodesOf(graph).filter(({ op }) => op.type === 'Cast').length

const plain = (
  inputs: PortSpecs,
  layers: object,
  forward: (self: never, x: never) => Record<string, AnyTensor>,
): TrainedModel => initialized(model({ inputs, layers, forward: forward as never }) as unknown as Model)

/** Where every tensor is rounded. */
const STRICT = 4e-3

const PRESETS: readonly [ModelName, object][] = (
  ['vit', 'lenet', 'resnet', 'cct', 'gpt', 'mlp'] as const
).map(name => [name, Object.values(MODELS[name].presets)[0] as object])

describe.each(PRESETS)('%s in half precision', (name, config) => {
  test('is half as large and computes nearly the same, on the CPU and in WASM, and read again', async () => {
    const trained = initialized(buildModel(name, config as never) as Model, 1)
    const half = await toFloat16(cpu, trained)
    const [before, after] = [exportOnnx(trained), exportOnnx(half)]
    expect(weightBytes(after) / weightBytes(before)).toBeLessThan(0.51)
    const feeds = feedsOf(trained.model)
    const want = (await run(cpu, before, feeds)).logits!
    const again = exportOnnx(loadOnnx(after, 'half.onnx') as unknown as Model)
    for (const [runtime, bytes] of [
      [cpu, after],
      [wasm, after],
      [cpu, again],
    ] as const) {
      const error = apart((await run(runtime, bytes, feeds)).logits, want)
      expect(error).toBeLessThan(2e-3)
      // It is not the same file.
      expect(error).toBeGreaterThan(1e-7)
    }
    expect(apart((await run(cpu, exportOnnx(strict(half)), feeds)).logits, want)).toBeLessThan(STRICT)
    expect(half.kept).toEqual([])
  })
})

test('norms, softmax and sums compute in float32; products and activations in float16', async () => {
  const half = await toFloat16(
    cpu,
    initialized(gpt({ vocabulary: 9, context: 6, dim: 8, depth: 1, heads: 2, mlp: 16 }) as Model),
  )
  expect([...new Set(inHalf(half))].sort()).toMatchInlineSnapshot(`
    [
      "Add",
      "Gather",
      "Gelu",
      "MatMul",
      "Reshape",
      "Slice",
      "Transpose",
    ]
  `)
  expect([...half.model.parameters].map(([name, { dtype }]) => `${name} ${dtype}`)).toMatchInlineSnapshot(`
    [
      "wte.weight float16",
      "wpe float16",
      "blocks.0.attn.constant bool",
      "blocks.0.norm1.weight float32",
      "blocks.0.norm1.bias float32",
      "blocks.0.attn.qkv.weight float16",
      "blocks.0.attn.qkv.bias float16",
      "blocks.0.attn.proj.weight float16",
      "blocks.0.attn.proj.bias float16",
      "blocks.0.norm2.weight float32",
      "blocks.0.norm2.bias float32",
      "blocks.0.mlp.fc1.weight float16",
      "blocks.0.mlp.fc1.bias float16",
      "blocks.0.mlp.fc2.weight float16",
      "blocks.0.mlp.fc2.bias float16",
      "norm.weight float32",
      "norm.bias float32",
      "wte.weight_1 float16",
    ]
  `)
})

test('a tied embedding is written once', async () => {
  const trained = initialized(
    gpt({ vocabulary: 1000, context: 4, dim: 8, depth: 1, heads: 2, mlp: 16 }) as Model,
  )
  const after = exportOnnx(await toFloat16(cpu, trained))
  expect(weightBytes(after) / weightBytes(exportOnnx(trained))).toBeLessThan(0.52)
})

test('a tensor that several read is cast once, and never forth and back', async () => {
  const trained = plain({ x: { shape: [8] } }, { a: linear(8, 8), b: linear(8, 8), c: linear(8, 8) }, ((
    self: Record<'a' | 'b' | 'c', (x: AnyTensor) => AnyTensor>,
    { x }: { x: AnyTensor },
  ) => ({
    y: self.c(ops.relu(ops.add(self.a(x), self.b(x)))),
  })) as never)
  // x to float16, y back.
  expect(casts(await toFloat16(cpu, trained))).toBe(2)
  expect(casts(await toFloat16(cpu, trained, { io: 'float16' }))).toBe(0)
})

describe('a mask', () => {
  const scores = { q: { shape: [4, 2] }, m: { shape: [4] } } as const
  type Given = Readonly<Record<'q' | 'm', AnyTensor>>
  const masked = (hide: (scores: AnyTensor, m: AnyTensor) => AnyTensor) =>
    plain(scores, {}, ((_: unknown, { q, m }: Given) => ({
      y: ops.matmul(ops.softmax(hide(ops.matmul(q, ops.transpose(q, [0, 2, 1])), m)), q) as AnyTensor,
    })) as never)
  const row = (m: AnyTensor): AnyTensor => ops.reshape(m, [m.shape[0], 1, 4]) as AnyTensor
  test.each<[string, (scores: AnyTensor, m: AnyTensor) => AnyTensor]>([
    [
      'added as −1e9',
      (s, m) => ops.add(s, ops.mul(ops.sub(constant(1, 'float32', []) as AnyTensor, row(m)), -1e9)),
    ],
    [
      'chosen as −1e9',
      (s, m) => ops.where(ops.greater(row(m), 0.5), s, constant(-1e9, 'float32', []) as AnyTensor),
    ],
    [
      'chosen as −∞',
      (s, m) => ops.where(ops.greater(row(m), 0.5), s, constant(-Infinity, 'float32', []) as AnyTensor),
    ],
  ])('%s hides what it hides in float32', async (_, hide) => {
    const trained = masked(hide)
    const feeds = {
      ...feedsOf(trained.model),
      m: { data: Float32Array.from({ length: 12 }, (_, i) => Number(i % 4 < 2)), dims: [3, 4] },
    }
    const want = (await run(cpu, exportOnnx(trained), feeds)).y!
    const half = await toFloat16(cpu, trained)
    expect(inHalf(half)).toContain('MatMul')
    const got = (await run(cpu, exportOnnx(strict(half)), feeds)).y
    expect(apart(got, want)).toBeLessThan(1e-3)
  })
})

describe('squares beyond the range of float16', () => {
  test('are summed in float32 by a norm of elementary ops', async () => {
    const trained = plain(
      { x: { shape: [8] } },
      { a: linear(8, 8), w: parameter([8], { kind: 'constant', value: 1 }) },
      ((self: { a: (x: AnyTensor) => AnyTensor; w: AnyTensor }, { x }: { x: AnyTensor }) => ({
        y: self.a(ops.rmsNorm(self.a(x), self.w)),
      })) as never,
    )
    const feeds = { x: { data: Float32Array.from({ length: 16 }, (_, i) => 20000 + i * 900), dims: [2, 8] } }
    const want = (await run(cpu, exportOnnx(trained), feeds)).y!
    expect(
      apart((await run(cpu, exportOnnx(strict(await toFloat16(cpu, trained))), feeds)).y, want),
    ).toBeLessThan(2e-3)
  })
})

describe('what does not fit stays in float32', () => {
  const net = (scale: number) => {
    const trained = plain({ x: { shape: [4] } }, { a: linear(4, 4), b: linear(4, 2) }, ((
      self: Record<'a' | 'b', (x: AnyTensor) => AnyTensor>,
      { x }: { x: AnyTensor },
    ) => ({ y: self.b(ops.relu(self.a(x))) })) as never)
    const params = trained.params.slice()
    // The weight of a comes first.
    for (let i = 0; i < 16; i++) params[i]! *= scale
    return { ...trained, params }
  }
  const data = {
    x: [
      [1, 2, 3, 4],
      [4, 3, 2, 1],
    ],
  }
  const reasonsOf = async (scale: number, options: Float16Options = {}) =>
    (await toFloat16(cpu, net(scale), options)).kept.map(({ name, reason }) => `${name} ${reason}`)

  test('weights that are too large or too small', async () => {
    expect(await reasonsOf(1)).toEqual([])
    expect(await reasonsOf(1e6)).toEqual(['a/MatMul weights'])
    expect(await reasonsOf(1e-7)).toEqual(['a/MatMul weights'])
  })

  test('values that the examples show to be', async () => {
    expect(await reasonsOf(1, { data })).toEqual([])
    expect(await reasonsOf(3e4)).toEqual([])
    const found = await toFloat16(cpu, net(3e4), { data })
    expect(found.kept.map(({ name }) => name)).toContain('a/MatMul')
    expect(found.kept[0]).toMatchObject({ reason: 'overflow' })
    expect(found.kept[0]!.largest).toBeGreaterThan(16376)
    const feeds = { x: { data: Float32Array.of(1, 2, 3, 4), dims: [1, 4] } }
    const want = (await run(cpu, exportOnnx(net(3e4)), feeds)).y!
    expect(apart((await run(cpu, exportOnnx(found), feeds)).y, want)).toBeLessThan(2e-3)
  })

  test('layers that the caller names', async () => {
    expect(await reasonsOf(1, { keep: 'b' })).toEqual(['b/MatMul asked', 'b/Add asked'])
    expect(await reasonsOf(1, { keep: /^a\.weight/ })).toEqual(['a/MatMul asked'])
    const { model } = await toFloat16(cpu, net(1), { keep: 'b' })
    expect([...model.parameters].map(([name, { dtype }]) => `${name} ${dtype}`)).toEqual([
      'a.weight float16',
      'a.bias float16',
      'b.weight float32',
      'b.bias float32',
    ])
  })

  test('examples that are not those of the model are refused', async () => {
    await expect(
      toFloat16(cpu, net(1), { data: { x: [[1, 2, 3]] } }),
    ).rejects.toThrowErrorMatchingInlineSnapshot(`[ShapeError: data: x: takes [batch,4], not [1,3]]`)
  })
})

test('inputs and outputs are float16 where that is asked', async () => {
  const trained = initialized(lenet(MODELS.lenet.presets.mnist) as Model, 1)
  const half = await toFloat16(cpu, trained, { io: 'float16' })
  expect(half.model.inputs.image?.dtype).toBe('float16')
  expect(half.model.outputs.logits?.dtype).toBe('float16')
  expect(trained.model.outputs.logits?.dtype).toBe('float32')
})

test('a resnet keeps its running statistics and is equal whichever batch it sees', async () => {
  const { layers, ...rest } = MODELS.resnet.presets.mnist
  const trained = initialized(resnet({ ...rest, layers: layers.slice(0, 2), widths: [4, 8] }) as Model, 2)
  const bytes = exportOnnx(await toFloat16(cpu, trained))
  const all = feedsOf(trained.model).image!
  const one = { image: { data: all.data.slice(0, 784), dims: [1, 1, 28, 28] } }
  const [whole, single] = [
    (await run(cpu, bytes, { image: all })).logits!,
    (await run(cpu, bytes, one)).logits!,
  ]
  expect(apart(single, whole.slice(0, single.length))).toBeLessThan(2e-3)
})
