import fc from 'fast-check'
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { vit } from '../../models/index.ts'
import { type Graph, substitute, type Tensors } from '../../src/graph/graph.ts'
import { input, parameter } from '../../src/graph/leaf.ts'
import { print } from '../../src/graph/print.ts'
import { hash, rng } from '../../src/graph/random.ts'
import type { AnyTensor, Tensor } from '../../src/graph/tensor.ts'
import {
  add,
  concat,
  gelu,
  grad,
  layerNorm,
  linear,
  matmul,
  mul,
  reshape,
  select,
  slice,
  softmax,
  sum,
  tanh,
  transpose,
} from '../../src/ops/index.ts'
import { sgd } from '../../src/optim/optimizer.ts'
import { centreWeights } from '../../src/passes/centre.ts'
import { columnSums } from '../../src/passes/column-sums.ts'
import { withDType } from '../../src/passes/float64.ts'
import { foldNorms } from '../../src/passes/fold-norm.ts'
import { fuseMatMuls } from '../../src/passes/fused-matmul.ts'
import { biasIntoGemm } from '../../src/passes/gemm.ts'
import { optimizeFor, optimizeForward } from '../../src/passes/index.ts'
import { rowDots } from '../../src/passes/row-dots.ts'
import { moveShifts } from '../../src/passes/shifts.ts'
import { simplify } from '../../src/passes/simplify.ts'
import { joinSlices, pushSlices } from '../../src/passes/slices.ts'
import { timeMajor } from '../../src/passes/time-major.ts'
import { transposeByProduct } from '../../src/passes/transpose-product.ts'
import { simplifyViews } from '../../src/passes/views.ts'
import { deviceOf } from '../../src/runtime/device.ts'
import { type Evaluated, evaluate } from '../../src/runtime/evaluate.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { classification } from '../../src/tasks/index.ts'
import { Trainer } from '../../src/train/trainer.ts'
import type { SingleStep } from '../../src/train/trainer-options.ts'
import * as attention from '../graph/passes/attention-examples.ts'
import * as examples from '../graph/passes/examples.ts'

const { target } = deviceOf('cpu')
const purpose = { target, dtype: 'float32', training: true } as const
const BATCH = 3

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

/** Graphs to be computed in one session: their leaves become inputs, with values that depend on their names alone. */
class Sheet {
  readonly outputs: Record<string, Tensor> = {}
  readonly feeds: Record<string, number[]> = {}
  readonly dims: Record<string, number[]> = {}

  add(name: string, graph: Graph): void {
    const leaves = new Map<Tensor, Tensor>()
    for (const [key, t] of Object.entries({ ...graph.inputs, ...graph.parameters })) {
      const dims = t.shape.map(d => (typeof d === 'string' ? BATCH : d))
      const random = rng(hash('passes', key))
      leaves.set(t, input(`${name}/${key}`, t.dtype, t.shape))
      this.dims[`${name}/${key}`] = dims
      this.feeds[`${name}/${key}`] = Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () =>
        random.normal(),
      )
    }
    for (const [key, t] of Object.entries(substitute(graph, leaves))) this.outputs[`${name}/${key}`] = t
  }

  run = (): Promise<Record<string, Evaluated>> => evaluate(cpu, this.outputs, this.feeds, this.dims)
}

function expectClose(got: Evaluated, want: Evaluated, tolerance: number, what: string): void {
  expect(got.dims, what).toEqual(want.dims)
  const values = Array.from(want.data, Number)
  const scale = Math.max(1, ...values.map(Math.abs))
  const worst = Array.from(got.data, Number).map((v, i) => Math.abs(v - values[i]!) / scale)
  expect(Math.max(0, ...worst), what).toBeLessThan(tolerance)
}

type Run = (graph: Graph) => Graph
const cases: readonly [string, Run, readonly examples.Example[]][] = [
  ['slices', pushSlices, examples.SLICES],
  ['splits', joinSlices, examples.SPLITS],
  ['views', simplifyViews, examples.VIEWS],
  ['time-major', g => timeMajor(simplifyViews(pushSlices(g))), examples.TIME_MAJOR],
  ['fold-norm', foldNorms, examples.FOLD_NORM],
  ['shifts', moveShifts, attention.SHIFTS],
  ['simplify', simplify, examples.SIMPLIFY],
  ['row-dots', g => rowDots(simplify(g)), attention.ROW_DOTS],
  ['centre', g => centreWeights(simplify(g)), examples.CENTRE],
  ['column-sums', columnSums, examples.COLUMN_SUMS],
  ['fuse', g => fuseMatMuls(g, target.lacks), examples.FUSE],
  ['gemm', biasIntoGemm, examples.GEMM],
  ['transpose', transposeByProduct, examples.TRANSPOSE],
]
const named = cases.flatMap(([pass, run, list]) =>
  list.map(e => ({ name: `${pass}: ${e.title}`, run, build: e.build })),
)

describe('a pass keeps what a graph computes', () => {
  let got: Record<string, Evaluated>
  const keys = new Map<string, string[]>()
  beforeAll(async () => {
    const sheet = new Sheet()
    for (const { name, run, build } of named) {
      const graph = build()
      sheet.add(`${name}/before`, graph)
      sheet.add(`${name}/after`, run(graph))
      keys.set(name, Object.keys(graph.outputs))
    }
    got = await sheet.run()
  })

  test.each(named.map(c => c.name))('%s', name => {
    for (const key of keys.get(name)!)
      expectClose(got[`${name}/after/${key}`]!, got[`${name}/before/${key}`]!, 5e-6, key)
  })
})

/** What a random number makes of some tensors; each result is `[2, 3, 4]` or a weight's worth of it. */
const MOVES: readonly ((t: AnyTensor, u: AnyTensor, w: AnyTensor, v: AnyTensor) => AnyTensor)[] = [
  (t, u) => add(t, u),
  (t, u) => mul(tanh(t), u),
  (t, _, w) => linear(t, w),
  (t, _, w, v) => linear(t, w, v),
  (t, _, w, v) => linear(layerNorm(t, v, v), w),
  t => gelu(mul(t, 0.3)),
  t => softmax(t),
  (t, u) => matmul(softmax(matmul(t, transpose(u, [0, 2, 1]))), u),
  t => transpose(reshape(transpose(t, [1, 0, 2]), [3, 2, 4]), [1, 0, 2]),
  t => reshape(transpose(reshape(t, [2, 3, 2, 2]), [0, 1, 3, 2]), [2, 3, 4]),
  t => concat([slice(t, 1, 2, 3), slice(t, 1, 0, 2)], 1),
  (t, _, w, v) => add(reshape(select(linear(t, w, v), 1, 1), [2, 1, 4]), t),
  (t, _, w) => mul(add(linear(t, w), 1), -2),
  (t, u) => add(mul(t, u), mul(t, tanh(u))),
  (t, u, _, v) =>
    examples.attention(
      add(t, u),
      concat(
        [0, 1, 2].map(i => mul(reshape(v, [1, 4]), i + 1)).flatMap(r => [r, r, r, r]),
        0,
      ),
      concat([v, v, v], 0),
      2,
    ),
]

function randomGraph(moves: readonly number[]): Graph {
  const x: AnyTensor = input('x', 'float32', [2, 3, 4])
  const w = parameter([4, 4], { kind: 'normal', std: 1 })
  const v = parameter([4], { kind: 'normal', std: 1 })
  const made: AnyTensor[] = [x]
  for (const n of moves) {
    const pick = (k: number) => made[Math.floor(n / k) % made.length]!
    const y = MOVES[n % MOVES.length]!(pick(20), pick(300), w, v)
    made.push(layerNorm(y, v, v))
  }
  return { inputs: { x }, parameters: { w, v }, outputs: { y: select(made.at(-1)!, 1, 0) } }
}

/** The graph with the gradients of its output, differentiated as it is given. */
const withGradients = (graph: Graph): Graph => {
  const { w, v } = graph.parameters as Record<string, AnyTensor>
  const [dw, dv] = grad(sum(mul(graph.outputs.y as AnyTensor, graph.outputs.y as AnyTensor)), [w!, v!])
  const outputs: Tensors = { ...graph.outputs, dw: dw!, dv: dv! }
  return { ...graph, outputs }
}

test('all passes together keep the values and gradients of random graphs, in double precision', async () => {
  const moves = fc.array(fc.nat(5999), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(fc.array(moves, { minLength: 8, maxLength: 8 }), async list => {
      const sheet = new Sheet()
      const graphs = list.map(randomGraph)
      graphs.forEach((graph, i) => {
        const passed = optimizeFor(withGradients(optimizeForward(graph, purpose)), purpose)
        sheet.add(`${i}/before`, withDType(withGradients(graph), 'float32', 'float64'))
        sheet.add(`${i}/after`, withDType(passed, 'float32', 'float64'))
      })
      const got = await sheet.run()
      graphs.forEach((graph, i) => {
        for (const key of ['y', 'dw', 'dv'])
          expectClose(
            got[`${i}/after/${key}`]!,
            got[`${i}/before/${key}`]!,
            1e-8,
            `${key} of\n${print(graph)}`,
          )
      })
    }),
    { numRuns: 12 },
  )
})

const config = { image: 8, channels: 1, patch: 4, dim: 16, depth: 2, heads: 2, mlp: 24, classes: 4 }

async function losses(without: string, dropout: number): Promise<number[]> {
  const before = process.env.ONNXGRAD_PASSES
  process.env.ONNXGRAD_PASSES = without
  const model = vit({ ...config, dropout })
  const options = { seed: 1, optimizer: sgd({ lr: 0.1, momentum: 0.9 }) }
  const run = new Trainer<SingleStep>(cpu, model, { task: classification(), ...options })
  const random = rng(5)
  const image = Float32Array.from({ length: 6 * 64 }, () => random.uniform())
  const label = Int32Array.from({ length: 6 }, (_, i) => i % 4)
  const out: number[] = []
  for (let step = 1; step <= 20; step++) out.push((await run.step({ image, label })).loss)
  await run.close()
  process.env.ONNXGRAD_PASSES = before ?? ''
  return out
}

test.each([0, 0.3])('training with all passes on equals training with all off, dropout %f', async dropout => {
  const [on, off] = [await losses('', dropout), await losses('-all', dropout)]
  expect(Math.max(...off) - Math.min(...off)).toBeGreaterThan(0.01)
  on.forEach((loss, i) => {
    expect(Math.abs(loss / off[i]! - 1)).toBeLessThan(1e-4)
  })
})

test('a pass that is not known is refused by name', () => {
  vi.stubEnv('ONNXGRAD_PASSES', '-slice')
  onTestFinished(() => void vi.unstubAllEnvs())
  expect(() => optimizeForward(randomGraph([0]), purpose)).toThrowErrorMatchingInlineSnapshot(
    `[UserError: ONNXGRAD_PASSES: unknown pass -slice; choose from -all, -centre, -column-sums, -fold-norm, -fuse, -gemm, -row-dots, -shifts, -simplify, -slices, -splits, -time-major, -transpose, -views]`,
  )
})
