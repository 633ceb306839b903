import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { mlp } from '../../models/index.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { readModel } from '../../src/export/read-model.ts'
import { debugLevel } from '../../src/graph/debug.ts'
import type { Graph } from '../../src/graph/graph.ts'
import { input } from '../../src/graph/leaf.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { add, cast, mul, reshape } from '../../src/ops/index.ts'
import { inOrder, type Pass, runPasses } from '../../src/passes/pass.ts'
import { profileLines, profileOf } from '../../src/runtime/profile-node.ts'

const x = input('x', 'float32', [2, 3]) as AnyTensor
const graph: Graph = { inputs: { x }, parameters: {}, outputs: { y: mul(x, 2) } }
const giving = (outputs: Graph['outputs'], more: Partial<Graph> = {}): Graph => ({
  ...graph,
  outputs,
  ...more,
})

describe('a pass that does not keep what a graph computes', () => {
  const run = (after: Graph, more: Partial<Pass<object>> = {}): Graph =>
    runPasses(inOrder<object>([{ name: 'faulty', run: () => after, ...more }]), graph, {})

  test('is named with the tensor: a dtype, a shape, a name, a new leaf', () => {
    expect(() => run(giving({ y: cast(x, 'float64') }))).toThrow(
      'internal: pass faulty: output y, float32 [2,3], is replaced by float64 [2,3]',
    )
    expect(() => run(giving({ y: reshape(x, [3, 2]) }))).toThrow(
      'internal: pass faulty: output y, float32 [2,3], is replaced by float32 [3,2]',
    )
    expect(() => run(giving({ z: x }))).toThrow(
      'internal: pass faulty: changes the names of the outputs from y to z',
    )
    expect(() => run(giving({ y: x }, { inputs: {} }))).toThrow(
      'internal: pass faulty: changes the names of the inputs from x to none',
    )
    const other = input('other', 'float32', [2, 3]) as AnyTensor
    expect(() => run(giving({ y: add(x, other) }))).toThrow(
      'internal: pass faulty: reads Input other, which the graph does not have',
    )
  })

  test('one that keeps it passes, and one that may change dtypes does', () => {
    const kept = giving({ y: add(x, x) })
    expect(run(kept)).toBe(kept)
    const double = giving({ y: cast(x, 'float64') })
    expect(run(double, { dtype: true })).toBe(double)
  })
})

describe('ONNXGRAD_DEBUG', () => {
  let lines: string[]
  const home = process.cwd()
  beforeEach(() => {
    lines = []
    vi.spyOn(console, 'error').mockImplementation((text: string) => void lines.push(text))
    process.chdir(mkdtempSync(join(tmpdir(), 'onnxgrad-debug-')))
  })
  afterEach(() => {
    vi.restoreAllMocks()
    vi.unstubAllEnvs()
    process.chdir(home)
  })
  const shipped = (level: string): Uint8Array => {
    vi.stubEnv('ONNXGRAD_DEBUG', level)
    return exportOnnx(mlp({ image: 4, channels: 1, hidden: [5], classes: 2 }))
  }

  test('is a level; text counts as 1', () => {
    for (const [text, level] of [
      ['', 0],
      ['0', 0],
      ['3', 3],
      ['yes', 1],
    ] as const) {
      vi.stubEnv('ONNXGRAD_DEBUG', text)
      expect(debugLevel(), text).toBe(level)
    }
  })

  test('prints passes and times from 1 on, graphs from 2 on, and changes no file', () => {
    const plain = shipped('')
    expect(lines).toEqual([])
    expect(shipped('1')).toEqual(plain)
    expect(lines).toContainEqual(
      expect.stringMatching(/^onnxgrad: mlp-export: slices: \d+ nodes, [\d.]+ ms$/),
    )
    expect(lines.join('\n')).not.toContain('return logits')
    lines = []
    expect(shipped('2')).toEqual(plain)
    expect(lines.join('\n')).toContain('return logits=')
    expect(readdirSync('.')).toEqual([])
  })

  test('writes each stage as an ONNX file from 4 on', () => {
    shipped('4')
    const files = readdirSync('onnxgrad-debug')
    expect(files.length).toBeGreaterThan(0)
    for (const file of files)
      expect(
        (readModel(readFileSync(join('onnxgrad-debug', file)), file).proto.graph?.node ?? []).length,
      ).toBeGreaterThan(2)
  })
})

test('a profile sums the time of kernels by layer and by operator', () => {
  const kernel = (name: string, dur: number, op_name: string) => ({
    cat: 'Node',
    name: `${name}_kernel_time`,
    dur,
    args: { op_name },
  })
  const run = { cat: 'Session', name: 'model_run', dur: 5000 }
  const events = [
    run,
    run,
    kernel('blocks.0/MatMul', 3000, 'MatMul'),
    kernel('blocks.0/Add', 1000, 'Add'),
    kernel('Add_1', 2000, 'Add'),
    { cat: 'Node', name: 'blocks.0/MatMul_fence_before', dur: 9, args: { op_name: 'MatMul' } },
  ]
  expect(`\n${profileLines(profileOf('vit-step', events)!).join('\n')}\n`).toMatchInlineSnapshot(`
    "
    vit-step: time of 2 runs
      layer              ms per run   share
      blocks.0                2.000    66.7 %
      outside of layers       1.000    33.3 %
      all                     3.000   100.0 %
      operator  ms per run   share
      MatMul         1.500    50.0 %
      Add            1.500    50.0 %
      all            3.000   100.0 %
    "
  `)
  // A single run is a look at values, not a program.
  expect(profileOf('look', events.slice(1))).toBeUndefined()
})
