import { beforeAll, describe, expect, test } from 'vitest'
import { allOps } from '../../src/graph/op.ts'
import { DEVICES } from '../../src/runtime/device.ts'
import { allCases } from '../ort/samples.ts'
import { noSwiftShader, runProgram } from './swiftshader.ts'

/** Relative to the largest element of a tensor: float32 arithmetic in another order. */
const TOLERANCE = 2e-6

const { inexact } = DEVICES.webgpu.target

interface Report {
  /** Per tensor of a sample (`Exp/0/y0`, `Exp/0/dx0`), its distance to the CPU's. */
  readonly errors: Readonly<Record<string, number>>
  /** Ops that WebGPU leaves to the CPU. */
  readonly left: readonly string[]
}

/** Operators that files alone are read with, and that onnxruntime has no kernel for on WebGPU. */
const OF_FILES = [
  ...[
    'BitShift',
    'BitwiseAnd',
    'BitwiseNot',
    'BitwiseOr',
    'BitwiseXor',
    'Or',
    'Xor',
    'IsInf',
    'IsNaN',
    'Mod',
  ],
  ...[
    'Celu',
    'Col2Im',
    'DepthToSpace',
    'Det',
    'EyeLike',
    'GatherND',
    'GridSample',
    'Hardmax',
    'LRN',
    'NonZero',
  ],
  ...['RNN', 'Resize', 'ReverseSequence', 'Round', 'Selu', 'Shrink', 'SpaceToDepth'],
  ...['ConvInteger', 'DequantizeLinear', 'DynamicQuantizeLinear', 'MatMulInteger', 'QuantizeLinear'],
]

describe.skipIf(noSwiftShader)(`WebGPU${noSwiftShader ? ` (${noSwiftShader})` : ''}`, () => {
  let report: Report
  beforeAll(async () => {
    report = await runProgram<Report>('webgpu-ops.ts')
  }, 180_000)

  test.each(allOps())('$type and its gradient give the values of the CPU', op => {
    const found = Object.entries(report.errors).filter(([name]) => name.startsWith(`${op.type}/`))
    const samples = allCases('float32', {}).filter(c => c.op === op)
    for (const sample of samples)
      expect(found.some(([name]) => name.startsWith(`${sample.name}/y`))).toBe(true)
    for (const [name, error] of found) expect(error, name).toBeLessThanOrEqual(inexact[op.type] ?? TOLERANCE)
  })

  test('computes everything itself but int64, float64 and what no graph for it has', () => {
    // Indices of the gradients of gather and max pooling; casts; the identity that dropout is in a file.
    expect(report.left.filter(type => !OF_FILES.includes(type)).sort()).toEqual([
      ...['Cast', 'Dropout', 'Gather', 'MaxPool'],
    ])
  })
})
