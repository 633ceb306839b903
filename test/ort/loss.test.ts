import { beforeAll, describe, expect, test } from 'vitest'
import { constant, input } from '../../src/graph/leaf.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { grad } from '../../src/ops/grad.ts'
import { softmax } from '../../src/ops/norm.ts'
import { adagrad, lion, type Optimizer, rmsprop, sgd } from '../../src/optim/optimizer.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { crossEntropy, huber, l1 } from '../../src/tasks/index.ts'

// What the reference folder does not hold: values of PyTorch 1.13 in float64, and Lion's own formula.

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

const SHAPE = [4, 3] as const
const X = [0.5, -1.2, 2.0, 1.5, 0.3, -0.7, -0.4, 0.9, 0.1, 2.2, -0.6, 0.8]
const T = [0.1, -0.3, 1.2, 1.0, 1.0, -0.7, -1.4, 0.5, 3.0, 0.2, -0.6, 0.5]
const target = constant(T, 'float64', SHAPE)
const labels = constant([2, 0, 1, -100], 'int64', [4])
const classWeights = [0.5, 1.5, 2.0]

const LOSSES: readonly [string, (x: AnyTensor) => AnyTensor, number, readonly number[]][] = [
  [
    'cross-entropy with class weights, smoothing and an ignored label',
    x => crossEntropy(x, labels, { classWeights, labelSmoothing: 0.2, ignoreIndex: -100 }),
    0.5993744420321689,
    [
      0.074052960804, -0.009949381453, -0.064103579351, 0.009702769407, 0.010551790942, -0.020254560349,
      0.049701745112, -0.112052080057, 0.062350334946, 0, 0, 0,
    ],
  ],
  [
    'cross-entropy of probabilities with class weights',
    x => crossEntropy(x, softmax(target), { classWeights }),
    1.9285076601430207,
    [
      0.044202926733, -0.040814629545, -0.003388297187, 0.134604059006, -0.114015818173, -0.020588240833,
      0.075586534711, 0.254367338677, -0.329953873388, 0.219965237241, -0.04410382534, -0.175861411901,
    ],
  ],
  [
    'cross-entropy of probabilities with smoothing',
    x => crossEntropy(x, softmax(target), { labelSmoothing: 0.1 }),
    1.2290346298981982,
    [
      -0.012331452268, -0.032535441494, 0.044866893762, 0.065636705503, -0.058089762194, -0.007546943309,
      0.028711827311, 0.119981821814, -0.148693649124, 0.102504392935, -0.032822612179, -0.069681780755,
    ],
  ],
  [
    'L1, with no gradient where both are equal',
    x => l1(x, target),
    0.825,
    [1, -1, 1, 1, -1, 0, 1, 1, -1, 1, 0, 1].map(sign => sign / 12),
  ],
  [
    'Huber with delta 0.8',
    x => huber(x, target, 0.8),
    0.42125,
    [
      0.033333333333, -0.066666666667, 0.066666666667, 0.041666666667, -0.058333333333, 0, 0.066666666667,
      0.033333333333, -0.066666666667, 0.066666666667, 0, 0.025,
    ],
  ],
]

describe('losses and their gradients are those of PyTorch', () => {
  test.each(LOSSES)('%s', async (_, loss, value, gradient) => {
    const x = input('x', 'float64', SHAPE)
    const y = loss(x)
    const got = await evaluate(cpu, { y, g: grad(y, [x])[0]! }, { x: X })
    expect(Number(got.y!.data[0])).toBeCloseTo(value, 12)
    for (const [i, g] of gradient.entries()) expect(Number(got.g!.data[i])).toBeCloseTo(g, 11)
  })
})

const P0 = [1.0, -2.0, 0.5]
const GRADIENTS = [
  [0.3, -0.1, 0.8],
  [0.2, 0.4, -0.5],
  [-0.6, 0.1, 0.2],
]

/** Parameters after three steps. */
async function threeSteps(optimizer: Optimizer): Promise<number[]> {
  const vector = (values: readonly number[]): AnyTensor => constant(values, 'float64', [3])
  let p = vector(P0)
  let state = Object.fromEntries(optimizer.state.map(name => [name, vector([0, 0, 0])]))
  GRADIENTS.forEach((g, i) => {
    const scalars = Object.fromEntries(
      Object.entries(optimizer.scalars(i + 1, optimizer.lr)).map(([name, v]) => [
        name,
        constant(v, 'float64', []),
      ]),
    )
    const next = optimizer.update({ p, g: vector(g), state, scalars, decays: constant(1, 'float64', []) })
    p = next.p
    state = { ...next.state }
  })
  return Array.from((await evaluate(cpu, { p }, {})).p!.data, Number)
}

describe('optimizers with every setting', () => {
  test.each<[string, Optimizer, readonly number[]]>([
    [
      'RMSprop with momentum and weight decay',
      rmsprop({ lr: 0.01, momentum: 0.9, weightDecay: 0.1 }),
      [0.6902090341422763, -1.8150890946856124, 0.29588198502131996],
    ],
    [
      'Adagrad with weight decay',
      adagrad({ lr: 0.1, weightDecay: 0.05 }),
      [0.9220466071284441, -1.9838489275524656, 0.4275854273154831],
    ],
    [
      'SGD with Nesterov momentum and weight decay',
      sgd({ lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.02 }),
      [0.941349034048, -2.060842039896, 0.31564327368399997],
    ],
  ])('%s gives the parameters of PyTorch', async (_, optimizer, expected) => {
    for (const [i, p] of (await threeSteps(optimizer)).entries()) expect(p).toBeCloseTo(expected[i]!, 9)
  })

  test('Lion moves by the sign of the blended momentum and decays apart from it', async () => {
    const [lr, b1, b2, decay] = [0.01, 0.9, 0.99, 0.1]
    const expected = P0.map((start, i) => {
      let [p, m] = [start, 0]
      for (const g of GRADIENTS) {
        p -= lr * (Math.sign(b1 * m + (1 - b1) * g[i]!) + decay * p)
        m = b2 * m + (1 - b2) * g[i]!
      }
      return p
    })
    const got = await threeSteps(lion({ lr, betas: [b1, b2], weightDecay: decay }))
    for (const [i, p] of got.entries()) expect(p).toBeCloseTo(expected[i]!, 12)
  })
})
