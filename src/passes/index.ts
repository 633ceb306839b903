import { UserError } from '../graph/errors.ts'
import type { Graph } from '../graph/graph.ts'
import type { Target } from '../graph/target.ts'
import { FusedMatMul } from '../ops/fused-matmul.ts'
import { centreWeights } from './centre.ts'
import { columnSums } from './column-sums.ts'
import { decompose } from './decompose.ts'
import { limitFanout } from './fanout.ts'
import { withDType } from './float64.ts'
import { foldNorms } from './fold-norm.ts'
import { fuseMatMuls } from './fused-matmul.ts'
import { biasIntoGemm } from './gemm.ts'
import { recompute } from './recompute.ts'
import { rowDots } from './row-dots.ts'
import { moveShifts } from './shifts.ts'
import { simplify } from './simplify.ts'
import { joinSlices, pushSlices } from './slices.ts'
import { timeMajor } from './time-major.ts'
import { transposeByProduct } from './transpose-product.ts'
import { simplifyViews } from './views.ts'

/** What a graph is prepared for. */
export interface Purpose {
  readonly target: Target
  readonly dtype: 'float32' | 'float64'
  /** A gradient will be taken of the graph, or was. */
  readonly training: boolean
  /** Compute cheap activations again in the backward pass where that saves memory. @default false */
  readonly recompute?: boolean
}

/** A rewriting of a graph that keeps what it computes. */
export interface Pass {
  readonly name: string
  readonly run: (graph: Graph, purpose: Purpose) => Graph
  /** Whether it pays; always, when left out. */
  readonly when?: (purpose: Purpose) => boolean
}

const fuses = ({ target, dtype }: Purpose): boolean =>
  target.contrib && !target.lacks(FusedMatMul.type, dtype)
const prefersProducts = ({ target }: Purpose): boolean => target.prefersProducts

/** Passes over a forward graph. What they change, the gradient inherits, so they come before it is taken. */
const FORWARD: readonly Pass[] = [
  { name: 'fold-norm', run: foldNorms, when: p => p.training },
  { name: 'slices', run: pushSlices },
  { name: 'splits', run: joinSlices },
  { name: 'views', run: simplifyViews },
  { name: 'shifts', run: moveShifts },
  { name: 'time-major', run: timeMajor, when: fuses },
]

/** What a target cannot do without: the dtype, and operators that it has. */
const REQUIRED: readonly Pass[] = [
  { name: 'float64', run: g => withDType(g, 'float32', 'float64'), when: p => p.dtype === 'float64' },
  { name: 'decompose', run: (g, p) => decompose(g, p.target.lacks) },
]

/** Passes that make a complete graph fast. */
const LOWERING: readonly Pass[] = [
  { name: 'simplify', run: simplify },
  { name: 'row-dots', run: rowDots },
  { name: 'centre', run: centreWeights },
  { name: 'column-sums', run: columnSums, when: prefersProducts },
  { name: 'fuse', run: (g, p) => fuseMatMuls(g, p.target.lacks), when: fuses },
  { name: 'gemm', run: biasIntoGemm, when: prefersProducts },
  { name: 'transpose', run: transposeByProduct, when: p => fuses(p) && prefersProducts(p) },
  { name: 'views', run: simplifyViews },
]

/** Nodes with no more inputs and outputs than a target takes. */
const LAST: Pass = { name: 'fanout', run: (g, p) => limitFanout(g, p.target.maxFanout) }

/** Makes a step smaller, not faster, and plans for the order of all nodes: only when asked for, after all others. */
const RECOMPUTE: Pass = { name: 'recompute', run: recompute, when: p => p.recompute === true }

/**
 * Passes less those that ONNXGRAD_PASSES names, for measurement: `-slices,-views`, or `-all` for every one that a graph
 * can do without. Read without node:process, because pages load this file.
 */
function chosen(passes: readonly Pass[]): Pass[] {
  const host = globalThis as { process?: { env?: Record<string, string | undefined> } }
  const out = (host.process?.env?.ONNXGRAD_PASSES ?? '').split(',').filter(Boolean)
  const known = ['-all', ...[...FORWARD, ...LOWERING].map(pass => `-${pass.name}`)]
  const wrong = out.find(name => !known.includes(name))
  if (wrong !== undefined)
    throw new UserError(`ONNXGRAD_PASSES: ${wrong} is not known; choose of ${[...new Set(known)].join(', ')}`)
  return out.includes('-all') ? [] : passes.filter(pass => !out.includes(`-${pass.name}`))
}

const run = (passes: readonly Pass[], graph: Graph, purpose: Purpose): Graph =>
  passes.reduce((g, pass) => (pass.when?.(purpose) === false ? g : pass.run(g, purpose)), graph)

/** A forward graph that computes no more than is read of it, laid out as its products read it. */
export const optimizeForward = (graph: Graph, purpose: Purpose): Graph => run(chosen(FORWARD), graph, purpose)

/** A complete graph as its target runs it best. */
export const optimizeFor = (graph: Graph, purpose: Purpose): Graph =>
  run([...REQUIRED, ...chosen(LOWERING), LAST, RECOMPUTE], graph, purpose)
