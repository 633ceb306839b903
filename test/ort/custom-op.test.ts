import { describe, expect, test } from 'vitest'
import { exportOnnx } from '../../src/export/export.ts'
import { readOnnx } from '../../src/export/read.ts'
import { attr } from '../../src/graph/attributes.ts'
import { nodesOf } from '../../src/graph/graph.ts'
import { input } from '../../src/graph/leaf.ts'
import type { AnyTensor } from '../../src/graph/node.ts'
import { elementwise, noGradient, op } from '../../src/graph/op.ts'
import { f32, sample } from '../../src/graph/sample.ts'
import { linear } from '../../src/nn/layers.ts'
import { model } from '../../src/nn/model.ts'
import * as ops from '../../src/ops/index.ts'
import { adam } from '../../src/optim/optimizer.ts'
import { runnableOn } from '../../src/passes/runnable.ts'
import { DEVICES } from '../../src/runtime/device.ts'
import { evaluate, graphOf } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { regression } from '../../src/tasks/index.ts'
import { checkOp } from '../../src/testing/node.ts'
import { Trainer } from '../../src/train/trainer.ts'

const half = sample(f32(3, 4))

/** An operator of ONNX. */
const Atan = op('Atan', {
  inputs: ['input'],
  infer: ([x]) => [x],
  along: elementwise,
  vjp: ({ x: [x], dy }) => [ops.div(dy, ops.add(ops.mul(x, x), 1))],
  samples: [half, sample(f32(2))],
})
/** An operator of onnxruntime's own, with two inputs: gelu(a + b). */
const BiasGelu = op('BiasGelu', {
  domain: 'com.microsoft',
  inputs: ['A', 'B'],
  outputs: ['C'],
  infer: ([a]) => [a],
  vjp: ({ x: [a, b], dy }) => ops.vjp(ops.gelu(ops.add(a, b)), dy, [a, b]),
  decompose: ([a, b]) => [ops.gelu(ops.add(a, b))],
  lacks: ({ dtype }) => dtype !== 'float32',
  samples: [sample(f32(3, 4), f32(4))],
})
/** An op that no runtime has, of several outputs and an attribute. */
const MinMax = op('MinMax', {
  domain: 'test',
  inputs: ['x'],
  outputs: ['low', 'high'],
  attrs: { axis: attr.int() },
  infer: ([x], { axis }) => {
    const shape = x.shape.toSpliced(axis, 1)
    return [
      { dtype: x.dtype, shape },
      { dtype: x.dtype, shape },
    ]
  },
  vjp: ({ x: [x], dys: [dLow, dHigh], attrs: { axis } }) => {
    const part = (y: AnyTensor, dy: AnyTensor | undefined) => (dy ? ops.vjp(y, dy, [x])[0] : ops.zerosLike(x))
    return [ops.add(part(ops.min(x, axis), dLow), part(ops.max(x, axis), dHigh))]
  },
  decompose: ([x], { axis }) => [ops.min(x, axis), ops.max(x, axis)],
  samples: [sample(f32(3, 5), { axis: 1 }), sample(f32(4, 2).distinct(), { axis: 0 })],
})

const net = () =>
  model({
    inputs: { x: { shape: [3] } },
    layers: { a: linear(3, 8), b: linear(8, 8), out: linear(2, 1) },
    forward: (self, { x }) => {
      const h = BiasGelu.apply([self.b(Atan.apply([self.a(x)])), self.b.bias])
      const [low, high] = MinMax.applyAll([h], { axis: 1 })
      return { y: self.out(ops.concat([ops.unsqueeze(low, 1), ops.unsqueeze(high, 1)], 1)) }
    },
  })

const operators = (bytes: Uint8Array) => {
  const { graph, opsetImport } = readOnnx(bytes, 'custom.onnx').proto
  return {
    types: [...new Set(graph?.node?.map(n => `${n.domain ?? ''}:${n.opType}`))],
    domains: opsetImport?.map(o => o.domain ?? ''),
  }
}

describe('an op from outside', () => {
  test.each([
    ['Atan', () => checkOp(Atan), true],
    ['BiasGelu', () => checkOp(BiasGelu), true],
    ['MinMax', () => checkOp(MinMax), false],
  ] as const)('%s keeps its contract', async (_, check, written) => {
    const checked = await check()
    expect(checked).toContain('gradient')
    expect(checked.includes('export and import')).toBe(written)
  })

  test('trains, with the same model before and after in a file', async () => {
    const runtime = await nodeRuntime('cpu')
    const m = net()
    await using trainer = new Trainer(runtime, m, { task: regression(), optimizer: adam({ lr: 0.02 }) })
    const x = Array.from({ length: 32 }, (_, i) => [Math.sin(i), Math.cos(i), i / 32])
    const batch = { x, y: x.map(([a = 0, b = 0]) => [a * b]) }
    const { loss: first } = await trainer.step(batch)
    let last = first
    for (let step = 0; step < 60; step++) last = (await trainer.step(batch)).loss
    expect(last).toBeLessThan(first / 4)

    const trained = await trainer.trained()
    const want = (await trainer.predict({ x })).y
    const bytes = exportOnnx(trained)
    expect(operators(bytes)).toEqual({
      types: expect.arrayContaining([':Atan', 'com.microsoft:BiasGelu', ':ReduceMin', ':ReduceMax']),
      domains: ['', 'com.microsoft'],
    })
    expect(operators(bytes).types.filter(type => type.startsWith('test:'))).toEqual([])
    const plain = exportOnnx(trained, { contrib: false })
    expect(operators(plain).domains).toEqual([''])
    for (const file of [bytes, plain]) {
      const session = await runtime.load(file)
      const { y } = await session.run({ x: runtime.tensor('float32', Float32Array.from(x.flat()), [32, 3]) })
      Array.from(y?.data as Float32Array).forEach((v, i) => {
        expect(v).toBeCloseTo(Number(want?.data[i]), 4)
      })
      await session.close()
    }
  })

  test('of onnxruntime runs by its decomposition on a target without it', () => {
    const [a, b] = [input('a', 'float32', [2, 4]), input('b', 'float32', [4])]
    const graph = graphOf({ y: BiasGelu.apply([a, b]) })
    const types = (device: 'cpu' | 'webgpu') =>
      nodesOf(runnableOn(graph, { target: DEVICES[device].target })).map(n => n.op.type)
    expect(types('cpu')).toContain('BiasGelu')
    expect(types('webgpu')).not.toContain('BiasGelu')
  })

  test('of no runtime is refused without a decomposition, by its name', async () => {
    const define = (type: string, decomposes: boolean) =>
      op(type, {
        domain: 'test',
        inputs: ['x'],
        infer: ([x]) => [x],
        vjp: noGradient('a test'),
        ...(decomposes ? { decompose: ([x]: readonly [AnyTensor]) => [ops.neg(x)] as const } : {}),
      })
    const [bare, full] = [define('Bare', false), define('Full', true)]
    const runtime = await nodeRuntime('cpu')
    const x = input('x', 'float32', [2])
    await expect(evaluate(runtime, { y: bare.apply([x]) }, { x: [1, 2] })).rejects.toThrow(
      /^test\.Bare does not run on cpu; give the op decompose$/,
    )
    expect((await evaluate(runtime, { y: full.apply([x]) }, { x: [1, 2] })).y?.data).toEqual(
      Float32Array.of(-1, -2),
    )
    const of = (own: typeof bare) =>
      model({ inputs: { x: { shape: [2] } }, layers: {}, forward: (_, { x }) => ({ y: own.apply([x]) }) })
    expect(() => exportOnnx(of(bare))).toThrow(/test\.Bare is not an operator of ONNX/)
    expect(operators(exportOnnx(of(full))).types).toEqual([':Neg'])
  })

  test('of a name that is taken is refused', () => {
    const define = (type: string, domain?: string) => () =>
      op(type, {
        ...(domain ? { domain } : {}),
        inputs: ['x'],
        infer: ([x]) => [x],
        vjp: noGradient('a test'),
      })
    expect(define('Add')).toThrow(/^op Add is already defined; use that one/)
    expect(define('Constant')).toThrow(/^op Constant is already defined/)
    expect(define('Average')).toThrow(/^op Average is already defined/)
    expect(define('Add', 'elsewhere')).not.toThrow()
    expect(define('Add', 'elsewhere')).toThrow(/^op elsewhere\.Add is already defined/)
  })
})

describe('checkOp finds', () => {
  let count = 0
  type Spec = Parameters<typeof op<readonly ['X'], { readonly k: number }>>[1]
  const neg = (changes: Partial<Spec>) =>
    op(`Neg${count++}`, {
      domain: 'com.microsoft',
      inputs: ['X'],
      attrs: { k: attr.float({ default: 0 }) },
      infer: ([x]) => [x],
      vjp: ({ dy }) => [ops.neg(dy)],
      decompose: ([x]) => [ops.neg(x)],
      // There is no such kernel: all devices decompose it.
      lacks: () => true,
      samples: [sample(f32(3, 4), { k: 0 })],
      ...changes,
    } satisfies Spec)

  test('nothing wrong in an op that is right', async () => {
    expect(await checkOp(neg({}))).toContain('gradient')
  })

  const FAULTS: readonly [string, Partial<Spec>, RegExp][] = [
    [
      'a wrong dtype',
      { infer: ([x]) => [{ ...x, dtype: 'float64' }] },
      /decompose returns float32 \[3,4\] for output 0, which is float64 \[3,4\]/,
    ],
    [
      'a wrong shape',
      { infer: ([x]) => [{ ...x, shape: [4, 3] }] },
      /decompose returns float32 \[3,4\] for output 0, which is float32 \[4,3\]/,
    ],
    ['a wrong gradient', { vjp: ({ dy }) => [dy] }, /x0: the rule gives .*, central differences/],
    [
      'a gradient of another dtype',
      { vjp: ({ dy }) => [ops.cast(dy, 'int64')] },
      /gradient of int64 for input 0 \(X\)/,
    ],
    [
      'a gradient of another shape',
      { vjp: ({ dy }) => [ops.transpose(dy, [1, 0])] },
      /returns a gradient of \[4,3\] for input 0 \(X\) of \[3,4\]/,
    ],
    ['a wrong training form', { training: ([x]) => [ops.neg(ops.mul(x, 2))] }, /training: .* differs by/],
    [
      'an axis that is not elementwise',
      { decompose: ([x]) => [ops.softmax(x)], along: () => [1] },
      /along: .*y0/,
    ],
    ['no samples', { samples: [] }, /has no samples/],
  ]
  test.each(FAULTS)('%s', async (_, changes, message) => {
    await expect(checkOp(neg(changes))).rejects.toThrow(message)
  })

  test('a type rule that the runtime contradicts', async () => {
    const wrong = (type: string, dtype: 'float32' | 'bool') =>
      op(type, {
        inputs: ['X'],
        infer: ([x]) => [{ dtype, shape: x.shape }],
        vjp: noGradient('a test'),
        samples: [sample(f32(3, 4))],
      })
    await expect(checkOp(wrong('IsNaN', 'float32'))).rejects.toThrow(
      /types: .*IsNaN.* does not match expected type \(tensor\(bool\)\)/,
    )
    expect(await checkOp(wrong('IsInf', 'bool'))).toContain('types')
  })

  test('an attribute that a file loses', async () => {
    const lost = op('Elu', {
      inputs: ['X'],
      attrs: { alpha: attr.internal<number>({ default: 1 }) },
      infer: ([x]) => [x],
      vjp: noGradient('a test'),
      decompose: ([x], { alpha }) => [ops.elu(x, alpha)],
    })
    await expect(checkOp(lost, { samples: [sample(f32(3, 4), { alpha: 2 })] })).rejects.toThrow(
      /decompose: .* differs/,
    )
    expect(await checkOp(lost, { samples: [sample(f32(3, 4), { alpha: 1 })] })).toContain('decompose')
  })
})

test('the compiler knows the arity and the attributes of an op', () => {
  const define = () => {
    op('A', {
      inputs: ['A', 'B?'],
      infer: ([a, b]) => [b ?? a],
      // @ts-expect-error one gradient more than there are inputs
      vjp: ({ dy }) => [dy, dy, dy],
    })
    op('B', {
      inputs: ['A', 'B'],
      infer: ([a]) => [a],
      // @ts-expect-error a gradient is missing
      vjp: ({ dy }) => [dy],
    })
    op('C', {
      inputs: ['A'],
      attrs: { axis: attr.int() },
      // @ts-expect-error there is one output
      infer: ([a], { axis }) => [a, { dtype: a.dtype, shape: [axis] }],
      vjp: ({ dy }) => [dy],
    })
    // @ts-expect-error the axis is missing
    MinMax.apply([input('x', 'float32', [2])])
    // @ts-expect-error two inputs
    Atan.apply([input('x', 'float32', [2]), input('y', 'float32', [2])])
    // @ts-expect-error the axis is a number
    MinMax.apply([input('x', 'float32', [2])], { axis: 'last' })
    // @ts-expect-error samples need the attributes
    void checkOp(MinMax, { samples: [sample(f32(2))] })
  }
  expect(define).toBeTypeOf('function')
})
