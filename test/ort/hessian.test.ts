import { beforeAll, expect, test } from 'vitest'
import type { FloatType } from '../../src/graph/dtype.ts'
import { constant, input } from '../../src/graph/leaf.ts'
import { hash, rng } from '../../src/graph/random.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import { add, gelu, grad, layerNorm, linear, mul, softmax, sub, sum } from '../../src/ops/index.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { crossEntropy } from '../../src/tasks/index.ts'

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

const normal = (name: string, size: number, std = 1): number[] => {
  const random = rng(hash('hessian', name))
  return Array.from({ length: size }, () => Math.fround(std * random.normal()))
}

const N = 4
const CLASSES = 3
const LABELS = [2, 0, 1, 2]
const SHAPES = {
  w1: [6, 5],
  b1: [6],
  scale: [6],
  shift: [6],
  w2: [CLASSES, 6],
  b2: [CLASSES],
} as const
type Name = keyof typeof SHAPES
const names = Object.keys(SHAPES) as Name[]
const size = (name: Name): number => SHAPES[name].reduce<number>((a, b) => a * b, 1)

type Parameters = Record<Name, AnyTensor>
const each = (f: (name: Name) => AnyTensor): Parameters =>
  Object.fromEntries(names.map(name => [name, f(name)])) as Parameters

/** Cross-entropy of a perceptron with layer norm and a softmax gate. */
function lossOf({ w1, b1, scale, shift, w2, b2 }: Parameters): AnyTensor {
  const dtype: FloatType = w1.dtype
  const h = layerNorm(gelu(linear(constant(normal('x', 5 * N), dtype, [N, 5]), w1, b1)), scale, shift)
  return crossEntropy(linear(mul(h, softmax(h)), w2, b2), constant(LABELS, 'int64', [N]))
}

const dot = (a: Parameters, b: Parameters): AnyTensor =>
  names.map(name => sum(mul(a[name], b[name]))).reduce((x, y) => add(x, y))

const gradientOf = (y: AnyTensor, p: Parameters): Parameters => {
  const g = grad(
    y,
    names.map(name => p[name]),
  )
  return each(name => g[names.indexOf(name)]!)
}

/** Gradient of the loss at p + h v. */
const gradientAt = (p: Parameters, v: Parameters, h: number): Parameters => {
  const moved = each(name => add(p[name], mul(v[name], h)))
  return gradientOf(lossOf(moved), moved)
}

const feeds = Object.fromEntries(
  names.flatMap(name => [
    [name, normal(name, size(name), 0.7)],
    [`u.${name}`, normal(`u.${name}`, size(name))],
    [`v.${name}`, normal(`v.${name}`, size(name))],
  ]),
)
const inputs = (prefix: string, dtype: FloatType): Parameters =>
  each(name => input(`${prefix}${name}`, dtype, SHAPES[name]))

const prefixed = (prefix: string, tensors: Parameters) =>
  Object.fromEntries(names.map(name => [`${prefix}${name}`, tensors[name]]))

/** H v by differentiating ⟨∇f, v⟩. */
const product = (p: Parameters, v: Parameters): Parameters => gradientOf(dot(gradientOf(lossOf(p), p), v), p)

test('a Hessian–vector product through a normalized MLP agrees with differences of the gradient', async () => {
  const H = 1e-5
  const [p, u, v] = [inputs('', 'float64'), inputs('u.', 'float64'), inputs('v.', 'float64')]
  const [ahead, behind] = [gradientAt(p, v, H), gradientAt(p, v, -H)]
  const hv = product(p, v)
  const got = await evaluate(
    cpu,
    {
      ...prefixed('rule.', hv),
      ...prefixed(
        'difference.',
        each(name => mul(sub(ahead[name], behind[name]), 0.5 / H)),
      ),
      uHv: dot(u, hv),
      vHu: dot(v, product(p, u)),
    },
    feeds,
  )
  for (const name of names) {
    const rule = got[`rule.${name}`]!.data as Float64Array
    const difference = got[`difference.${name}`]!.data as Float64Array
    const scale = Math.max(...difference.map(Math.abs))
    expect(scale, name).toBeGreaterThan(1e-3)
    for (const [i, d] of difference.entries())
      expect(Math.abs(rule[i]! - d), `${name}[${i}]`).toBeLessThan(1e-8 * scale)
  }
  const [a, b] = [Number(got.uHv!.data[0]), Number(got.vHu!.data[0])]
  expect(Math.abs(a - b), 'H is symmetric').toBeLessThan(1e-12 * Math.abs(a))
})

test('in float32, with the fused kernels, it is the same to float32 precision', async () => {
  const both = await Promise.all(
    (['float32', 'float64'] as const).map(dtype =>
      evaluate(cpu, prefixed('Hv.', product(inputs('', dtype), inputs('v.', dtype))), feeds),
    ),
  )
  for (const name of names) {
    const [single, double] = both.map(got => Array.from(got[`Hv.${name}`]!.data, Number)) as [
      number[],
      number[],
    ]
    const scale = Math.max(...double.map(Math.abs))
    for (const [i, d] of double.entries())
      expect(Math.abs(single[i]! - d), `${name}[${i}]`).toBeLessThan(1e-4 * scale)
  }
})

test('the Hessian of logistic regression times a vector is Xᵀ (diag(p) − p pᵀ) X v / n', async () => {
  const [x, w, v] = [normal('x', 5 * N), normal('w', 5 * CLASSES), normal('v', 5 * CLASSES)]
  const [W, V] = [input('w', 'float64', [CLASSES, 5]), input('v', 'float64', [CLASSES, 5])]
  const loss = crossEntropy(linear(constant(x, 'float64', [N, 5]), W), constant(LABELS, 'int64', [N]))
  const [gradient] = grad(loss, [W])
  const [hv] = grad(sum(mul(gradient!, V)), [W])
  const got = await evaluate(cpu, { hv: hv! }, { w, v })

  const want = new Array<number>(5 * CLASSES).fill(0)
  for (let n = 0; n < N; n++) {
    const row = x.slice(5 * n, 5 * n + 5)
    const along = (m: readonly number[], c: number) => row.reduce((s, xi, i) => s + xi * m[5 * c + i]!, 0)
    const exps = [0, 1, 2].map(c => Math.exp(along(w, c)))
    const p = exps.map(e => e / exps.reduce((a, b) => a + b))
    const mean = p.reduce((s, pc, c) => s + pc * along(v, c), 0)
    for (let c = 0; c < CLASSES; c++)
      row.forEach((xi, i) => {
        want[5 * c + i]! += (p[c]! * (along(v, c) - mean) * xi) / N
      })
  }
  Array.from(got.hv!.data, Number).forEach((value, i) => {
    expect(value).toBeCloseTo(want[i]!, 13)
  })
})
