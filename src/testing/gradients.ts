import { isFloat } from '../graph/dtype.ts'
import type { Tensors } from '../graph/graph.ts'
import type { Op } from '../graph/node.ts'
import { zip } from '../graph/present.ts'
import type { Sample } from '../graph/sample.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { add, mul, sub } from '../ops/elementwise.ts'
import { grad } from '../ops/grad.ts'
import { sum } from '../ops/reduce.ts'
import { decompose } from '../passes/decompose.ts'
import { type Evaluated, evaluate, graphOf } from '../runtime/evaluate.ts'
import type { Runtime } from '../runtime/session.ts'
import { casesOf, type Feeds, normalLike } from './cases.ts'

/**
 * Half the width of the central difference and what is left of truncation and rounding, relative to 1 + the slope: in
 * double precision, and in single precision for operators without other kernels.
 */
const PRECISIONS = {
  float64: { h: 1e-5, tolerance: 1e-7 },
  float32: { h: 1e-2, tolerance: 1e-2 },
} as const
export type Precision = keyof typeof PRECISIONS

/** A function of tensors, with values for its inputs. */
export interface GradientCase {
  readonly name: string
  readonly inputs: readonly AnyTensor[]
  readonly apply: (inputs: readonly Tensor[]) => { readonly outputs: readonly AnyTensor[] }
}

/** What is differentiated: cases in a precision, whose values are put into `feeds`. */
export interface Differentiated {
  readonly cases: (precision: Precision, feeds: Feeds) => readonly GradientCase[]
  /** An op that is tried in parts where it has no kernel in double precision. */
  readonly op?: Op
  /** Of the files that are run. */
  readonly opset: number
}

/** The samples of an op. */
export const opCases = (op: Op, samples: readonly Sample[]): Differentiated => ({
  cases: (precision, feeds) => casesOf(op, precision, feeds, samples),
  op,
  opset: Math.max(21, op.since ?? 0),
})

/**
 * For each input x of each case a random direction d: ⟨∂f/∂x, d⟩ against (f(x + h d) − f(x − h d)) / 2h, where f is
 * Σ gy · y over the outputs that have a gradient, with random gy.
 * @returns a line for each gradient that is wrong
 */
export async function compareGradients(
  subject: Differentiated,
  runtime: Runtime,
): Promise<readonly string[]> {
  const { got, precision } = await computed(subject, runtime)
  const { tolerance } = PRECISIONS[precision]
  return Object.keys(got).flatMap(name => {
    if (!name.endsWith(RULE)) return []
    const base = name.slice(0, -RULE.length)
    const [rule, slope] = [name, `${base}${SLOPE}`].map(key => Number(got[key]?.data[0]))
    if (rule === undefined || slope === undefined) return []
    const close = Math.abs(rule - slope) < tolerance * (1 + Math.abs(slope))
    return close ? [] : [`${base}: the rule gives ${rule}, central differences ${slope} (${precision})`]
  })
}

const RULE = ' by the rule'
const SLOPE = ' by differences'

async function computed(
  subject: Differentiated,
  runtime: Runtime,
): Promise<{ readonly got: Readonly<Record<string, Evaluated>>; readonly precision: Precision }> {
  const { op, opset } = subject
  const attempt = async (precision: Precision, plain: boolean) => {
    const feeds: Feeds = {}
    const outputs = gradientsOf(subject, precision, feeds)
    // Differences do not see through integers.
    if (!Object.keys(outputs).length) return { got: {}, precision }
    const { target } = runtime.device
    const lacks = (type: string) => type === op?.type
    const run = plain ? decompose(graphOf(outputs), { ...target, lacks }).outputs : outputs
    return { got: await evaluate(runtime, run, feeds, {}, opset), precision }
  }
  return attempt('float64', false).catch(async (error: unknown) => {
    // What a rule throws, it throws in any precision.
    gradientsOf(subject, 'float32', {})
    if (op?.decompose) return attempt('float64', true)
    return attempt('float32', false).catch(() => {
      throw error
    })
  })
}

function gradientsOf({ cases }: Differentiated, precision: Precision, feeds: Feeds): Tensors {
  const outputs: Record<string, AnyTensor> = {}
  const { h } = PRECISIONS[precision]
  for (const c of cases(precision, feeds)) {
    const ys: readonly AnyTensor[] = c.apply(c.inputs).outputs
    if (!ys.some(y => isFloat(y.dtype))) continue
    const gys = ys.map((y, k) => normalLike(y, `${c.name}/gy${k}`, feeds))
    const f = (xs: readonly Tensor[]): AnyTensor =>
      zip<AnyTensor, AnyTensor>(c.apply(xs).outputs, gys)
        .flatMap(([y, gy]): AnyTensor[] => (isFloat(y.dtype) ? [sum(mul(y, gy))] : []))
        .reduce((a, b) => add(a, b))
    for (const [i, x] of c.inputs.entries()) {
      if (!isFloat(x.dtype)) continue
      const name = `${c.name}/x${i}`
      const d: AnyTensor = normalLike(x, `${name}/d`, feeds)
      const step = mul(d, h)
      const moved = (by: AnyTensor) => f(c.inputs.with(i, by))
      const [dx] = grad(f(c.inputs), [x])
      outputs[`${name}${RULE}`] = sum(mul(dx, d))
      outputs[`${name}${SLOPE}`] = mul(sub(moved(add(x, step)), moved(sub(x, step))), 0.5 / h)
    }
  }
  return outputs
}
