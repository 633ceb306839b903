import { beforeAll, describe, expect, test } from 'vitest'
import { constant, input } from '../../src/graph/leaf.ts'
import { product } from '../../src/graph/shape.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import * as ops from '../../src/ops/index.ts'
import { decompose } from '../../src/passes/decompose.ts'
import { DEVICES } from '../../src/runtime/device.ts'
import { type Evaluated, evaluate, graphOf } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'

/** Where a function has no derivative: what it is, where, and what PyTorch gives there. */
interface Kink {
  readonly name: string
  readonly f: (...inputs: AnyTensor[]) => AnyTensor
  readonly at: readonly (readonly number[])[]
  /** Shape of the inputs, a list when left out. */
  readonly shape?: readonly number[]
  /** Gradients of Σ (i + 1) yᵢ with respect to each input. */
  readonly gradients: readonly (readonly number[])[]
}

const image = [1, 1, 3, 3]
const flat = [1, 1, 1, 1, 1, 1, 1, 1, 1]

// Gradients as torch.autograd.grad of PyTorch 1.13 gives them, worked out by hand from its backward formulas.
const kinks: readonly Kink[] = [
  { name: 'abs at 0', f: ops.abs, at: [[-2, 0, 2]], gradients: [[-1, 0, 3]] },
  { name: 'relu at 0', f: ops.relu, at: [[-2, 0, 2]], gradients: [[0, 0, 3]] },
  { name: 'leaky relu at 0', f: x => ops.leakyRelu(x, 0.5), at: [[-2, 0, 2]], gradients: [[0.5, 1, 3]] },
  { name: 'elu at 0', f: x => ops.elu(x, 0.5), at: [[0, 2]], gradients: [[0.5, 2]] },
  { name: 'softplus at 0', f: ops.softplus, at: [[0]], gradients: [[0.5]] },
  { name: 'softsign at 0', f: ops.softsign, at: [[0]], gradients: [[1]] },
  { name: 'hardswish at ±3', f: ops.hardswish, at: [[-4, -3, 3, 4]], gradients: [[0, -1, 4.5, 4]] },
  {
    name: 'clip at its bounds',
    f: x => ops.clip(x, -1, 2),
    at: [[-2, -1, 0, 2, 3]],
    gradients: [[0, 2, 3, 4, 0]],
  },
  { name: 'sign', f: ops.sign, at: [[-1, 0, 1]], gradients: [[0, 0, 0]] },
  { name: 'floor', f: ops.floor, at: [[-0.5, 0, 1]], gradients: [[0, 0, 0]] },
  {
    name: 'maximum at a tie',
    f: ops.maximum,
    at: [
      [1, 2, 3],
      [3, 2, 1],
    ],
    gradients: [
      [0, 1, 3],
      [1, 1, 0],
    ],
  },
  {
    name: 'minimum at a tie',
    f: ops.minimum,
    at: [
      [1, 2, 3],
      [3, 2, 1],
    ],
    gradients: [
      [1, 1, 0],
      [0, 1, 3],
    ],
  },
  { name: 'pow at 0', f: x => ops.pow(x, 2), at: [[0, 3]], gradients: [[0, 12]] },
  { name: 'pow with the exponent 0', f: x => ops.pow(x, 0), at: [[0, 3]], gradients: [[0, 0]] },
  {
    name: 'pow with tensors',
    f: ops.pow,
    at: [
      [0, 0, 2],
      [0, 2, 0],
    ],
    gradients: [
      [0, 0, 0],
      [0, 0, 3 * Math.LN2],
    ],
  },
  {
    name: 'max at a tie',
    f: x => ops.max(x, 1),
    at: [[3, 1, 3, 2, 2, 2]],
    shape: [2, 3],
    gradients: [[0.5, 0, 0.5, 2 / 3, 2 / 3, 2 / 3]],
  },
  {
    name: 'min at a tie',
    f: x => ops.min(x, 1),
    at: [[3, 1, 1, 2, 2, 2]],
    shape: [2, 3],
    gradients: [[0, 0.5, 0.5, 2 / 3, 2 / 3, 2 / 3]],
  },
  { name: 'logsumexp at a tie', f: x => ops.logsumexp(x), at: [[1, 1]], gradients: [[0.5, 0.5]] },
  {
    name: 'top-k at a tie',
    f: x => ops.topK(x, 2)[0],
    at: [[1, 2, 2, 2]],
    gradients: [[0, 1, 2, 0]],
  },
  {
    name: 'max pooling at a tie, overlapping',
    f: x => ops.maxPool2d(x, 2, { stride: 1 }),
    at: [flat],
    shape: image,
    gradients: [[1, 2, 0, 3, 4, 0, 0, 0, 0]],
  },
  {
    name: 'max pooling at a tie, padded',
    f: x => ops.maxPool2d(x, 3, { stride: 2, padding: 1 }),
    at: [flat],
    shape: image,
    gradients: [[1, 2, 0, 3, 4, 0, 0, 0, 0]],
  },
  {
    name: 'max pooling at a tie, dilated',
    f: x => ops.maxPool2d(x, 2, { stride: 1, dilation: 2 }),
    at: [[0, 9, 2, 9, 9, 9, 2, 9, 2]],
    shape: image,
    gradients: [[0, 0, 1, 0, 0, 0, 0, 0, 0]],
  },
  {
    name: 'global max pooling at a tie',
    f: ops.globalMaxPool2d,
    at: [[0, 7, 0, 0, 7, 0, 0, 0, 0]],
    shape: image,
    gradients: [[0, 0.5, 0, 0, 0.5, 0, 0, 0, 0]],
  },
]

const gradientsOf = ({ name, f, at, shape }: Kink): AnyTensor[] => {
  const inputs = at.map((values, i) => input(`${name}/x${i}`, 'float64', shape ?? [values.length]))
  const y = f(...inputs)
  const count = product(y.shape) as number
  const weights = constant(
    Array.from({ length: count }, (_, i) => i + 1),
    'float64',
    y.shape,
  )
  return ops.grad(ops.sum(ops.mul(y, weights)), inputs)
}

const feeds = Object.fromEntries(
  kinks.flatMap(k => k.at.map((values, i) => [`${k.name}/x${i}`, [...values]])),
)
const outputs = Object.fromEntries(
  kinks.flatMap(k => gradientsOf(k).map((g, i) => [`${k.name}/dx${i}`, g] as const)),
)

describe.each([
  ['as it is', outputs],
  [
    'without the second output of MaxPool',
    decompose(graphOf(outputs), { ...DEVICES.cpu.target, lacks: type => type === 'MaxPool' }).outputs,
  ],
])('the gradient is that of PyTorch, %s:', (_, tensors) => {
  let got: Record<string, Evaluated>
  beforeAll(async () => {
    got = await evaluate(await nodeRuntime('cpu'), tensors, feeds)
  })

  test.each(kinks)('$name', ({ name, gradients }) => {
    gradients.forEach((want, i) => {
      const values = Array.from(got[`${name}/dx${i}`]!.data, Number)
      expect(values).toHaveLength(want.length)
      values.forEach((v, j) => {
        expect(v, `gradient ${i}`).toBeCloseTo(want[j]!, 14)
      })
    })
  })
})
