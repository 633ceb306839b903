import type { Graph } from '../graph/graph.ts'
import { FusedMatMul } from '../ops/fused-matmul.ts'
import type { Target } from '../runtime/device.ts'
import { centreWeights } from './centre.ts'
import { columnSums } from './column-sums.ts'
import { decompose } from './decompose.ts'
import { limitFanout } from './fanout.ts'
import { withDType } from './float64.ts'
import { foldNorms } from './fold-norm.ts'
import { fuseMatMuls } from './fused-matmul.ts'
import { biasIntoGemm } from './gemm.ts'
import { simplify } from './simplify.ts'
import { joinSlices, pushSlices } from './slices.ts'
import { timeMajor } from './time-major.ts'
import { transposeByProduct } from './transpose-product.ts'
import { simplifyViews } from './views.ts'

/** A rewriting of a graph that keeps what it computes. */
export interface Pass {
  readonly name: string
  readonly run: (graph: Graph) => Graph
}

/** What a graph is prepared for. */
export interface Purpose {
  readonly target: Target
  readonly dtype: 'float32' | 'float64'
  /** A gradient will be taken of the graph. */
  readonly training: boolean
}

const when = (condition: boolean, pass: Pass): Pass[] => (condition ? [pass] : [])

const fuses = ({ target, dtype }: Purpose): boolean =>
  target.contrib && !target.lacks(FusedMatMul.type, dtype)

/**
 * Passes over a forward graph. What they change, the gradient inherits, so they come before it is taken. Each can be
 * left out, for measurement: ONNXGRAD_PASSES=-slices,-views
 */
export const forwardPasses = (purpose: Purpose): Pass[] =>
  chosen([
    ...when(purpose.training, { name: 'fold-norm', run: foldNorms }),
    { name: 'slices', run: pushSlices },
    { name: 'splits', run: joinSlices },
    { name: 'views', run: simplifyViews },
    ...when(fuses(purpose), { name: 'time-major', run: timeMajor }),
  ])

/** Passes that make a complete graph fast on a target; each can be left out likewise. */
export const loweringPasses = (purpose: Purpose): Pass[] =>
  chosen([
    { name: 'simplify', run: simplify },
    { name: 'centre', run: centreWeights },
    ...when(purpose.target.prefersProducts, { name: 'column-sums', run: columnSums }),
    ...when(fuses(purpose), { name: 'fuse', run: g => fuseMatMuls(g, purpose.target.lacks) }),
    ...when(purpose.target.prefersProducts, { name: 'gemm', run: biasIntoGemm }),
    ...when(fuses(purpose) && purpose.target.prefersProducts, { name: 'transpose', run: transposeByProduct }),
    { name: 'views', run: simplifyViews },
  ])

/** What a target cannot do without: the dtype, operators that it has, and no more of their inputs than it takes. */
const requiredPasses = ({ target, dtype }: Purpose): [first: Pass[], last: Pass[]] => [
  [
    ...when(dtype === 'float64', { name: 'float64', run: g => withDType(g, 'float32', 'float64') }),
    { name: 'decompose', run: g => decompose(g, target.lacks) },
  ],
  [{ name: 'fanout', run: g => limitFanout(g, target.maxFanout) }],
]

/** Every pass that prepares a complete graph for a target, in order. */
export const passesFor = (purpose: Purpose): Pass[] => {
  const [first, last] = requiredPasses(purpose)
  return [...first, ...loweringPasses(purpose), ...last]
}

/** Takes out the passes that ONNXGRAD_PASSES names after a minus. Read without node:process: pages load this file. */
function chosen(passes: readonly Pass[]): Pass[] {
  const host = globalThis as { process?: { env?: Record<string, string | undefined> } }
  const names = host.process?.env?.ONNXGRAD_PASSES?.split(',') ?? []
  return passes.filter(pass => !names.some(name => name.trim() === `-${pass.name}`))
}

const run = (passes: readonly Pass[], graph: Graph): Graph => passes.reduce((g, pass) => pass.run(g), graph)

/** A forward graph that computes no more than is read of it, laid out as its products read it. */
export const optimizeForward = (graph: Graph, purpose: Purpose): Graph => run(forwardPasses(purpose), graph)

/** The graph as the target runs it best. */
export const optimizeFor = (graph: Graph, purpose: Purpose): Graph => run(passesFor(purpose), graph)
