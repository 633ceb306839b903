import type { Graph } from '../graph/graph.ts'
import type { Target } from '../graph/target.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { FusedMatMul } from '../ops/fused-matmul.ts'
import { centreWeights } from './centre.ts'
import { columnSums } from './column-sums.ts'
import { withDType } from './float64.ts'
import { foldNorms } from './fold-norm.ts'
import { fuseMatMuls } from './fused-matmul.ts'
import { biasIntoGemm } from './gemm.ts'
import { inOrder, runPasses, type Trace } from './pass.ts'
import { recompute } from './recompute.ts'
import { rowDots } from './row-dots.ts'
import { DECOMPOSE, FANOUT } from './runnable.ts'
import { SLICES, WHOLE_CHANNELS } from './serving.ts'
import { moveShifts } from './shifts.ts'
import { simplify } from './simplify.ts'
import { joinSlices } from './slices.ts'
import { timeMajor } from './time-major.ts'
import { trainingForm } from './training.ts'
import { transposeByProduct } from './transpose-product.ts'
import { simplifyViews } from './views.ts'

/** What a graph that onnxgrad runs is prepared for. */
export interface Purpose {
  readonly target: Target
  readonly dtype: 'float32' | 'float64'
  /** A gradient will be taken of the graph, or was. */
  readonly training: boolean
  /** Compute cheap activations again in the backward pass where that saves memory. @default false */
  readonly recompute?: boolean
  readonly trace?: Trace | undefined
}

/** The seed of a training step: float32 `[SEED_SIZE]`. */
export interface SeedPurpose {
  readonly seed: AnyTensor
  readonly trace?: Trace | undefined
}

const TRAINING = inOrder<SeedPurpose>([
  { name: 'training-form', run: (g, p) => trainingForm(g, p.seed), required: true },
])

const fuses = ({ target, dtype }: Purpose): boolean =>
  target.contrib && !target.lacks(FusedMatMul.type, dtype)
const prefersProducts = ({ target }: Purpose): boolean => target.prefersProducts

/** Passes over a forward graph. What they change, the gradient inherits, so they come before it is taken. */
const FORWARD = inOrder<Purpose>([
  { name: 'fold-norm', run: foldNorms, when: p => p.training },
  SLICES,
  { name: 'splits', run: joinSlices },
  { name: 'views', run: simplifyViews },
  { name: 'shifts', run: moveShifts },
  { name: 'time-major', run: timeMajor, when: fuses },
])

/** Passes over a complete graph: first what a target cannot do without, then what makes it fast. */
const COMPLETE = inOrder<Purpose>([
  {
    name: 'float64',
    run: g => withDType(g, 'float32', 'float64'),
    when: p => p.dtype === 'float64',
    required: true,
    dtype: true,
  },
  DECOMPOSE,
  { name: 'simplify', run: simplify },
  { name: 'row-dots', run: rowDots },
  { name: 'centre', run: centreWeights },
  { name: 'column-sums', run: columnSums, when: prefersProducts },
  { name: 'fuse', run: (g, p) => fuseMatMuls(g, p.target.lacks), when: fuses },
  { name: 'gemm', run: biasIntoGemm, when: prefersProducts },
  { name: 'transpose', run: transposeByProduct, when: p => fuses(p) && prefersProducts(p) },
  { name: 'views', run: simplifyViews },
  { ...WHOLE_CHANNELS, when: ({ target }) => target.name === 'webgpu' },
  // Splits nodes with more inputs or outputs than the target allows.
  FANOUT,
  // Makes a step smaller, not faster, and plans for the order of all nodes: only when asked for, after all others.
  { name: 'recompute', run: recompute, when: p => p.recompute === true, required: true },
])

/** A forward graph as a training step computes it. */
export const forTraining = (graph: Graph, purpose: SeedPurpose): Graph => runPasses(TRAINING, graph, purpose)

/** A forward graph that computes no more than is read of it, laid out as its products read it. */
export const optimizeForward = (graph: Graph, purpose: Purpose): Graph => runPasses(FORWARD, graph, purpose)

/** A complete graph as its target runs it best. */
export const optimizeFor = (graph: Graph, purpose: Purpose): Graph => runPasses(COMPLETE, graph, purpose)
