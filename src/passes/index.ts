import type { Graph } from '../graph/graph.ts'
import type { Target } from '../graph/target.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { FusedMatMul } from '../ops/fused-matmul.ts'
import { inferenceForm } from '../ops/mode.ts'
import { centreWeights } from './centre.ts'
import { columnSums } from './column-sums.ts'
import { decompose, forOpset } from './decompose.ts'
import { limitFanout } from './fanout.ts'
import { withDType } from './float64.ts'
import { foldNorms } from './fold-norm.ts'
import { fuseMatMuls } from './fused-matmul.ts'
import { biasIntoGemm } from './gemm.ts'
import { inOrder, runPasses, type Trace } from './pass.ts'
import { recompute } from './recompute.ts'
import { rowDots } from './row-dots.ts'
import { moveShifts } from './shifts.ts'
import { simplify } from './simplify.ts'
import { joinSlices, pushSlices } from './slices.ts'
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

/** What a graph that is written to a file is prepared for. */
export interface ServingPurpose {
  readonly trace?: Trace | undefined
}

/** The seed of a training step: float32 `[SEED_SIZE]`. */
export interface SeedPurpose extends ServingPurpose {
  readonly seed: AnyTensor
}

export interface OpsetPurpose extends ServingPurpose {
  readonly opset: number
  /** Operators of onnxruntime's own may be used. */
  readonly contrib: boolean
}

/** Graphs as a training step computes them, and as everything else does. */
const TRAINING = inOrder<SeedPurpose>([
  { name: 'training-form', run: (g, p) => trainingForm(g, p.seed), required: true },
])
const INFERENCE = inOrder<ServingPurpose>([{ name: 'inference-form', run: inferenceForm, required: true }])

const fuses = ({ target, dtype }: Purpose): boolean =>
  target.contrib && !target.lacks(FusedMatMul.type, dtype)
const prefersProducts = ({ target }: Purpose): boolean => target.prefersProducts

/** Computes no more than is read. */
const SLICES = { name: 'slices', run: pushSlices } as const

/** Passes over a forward graph. What they change, the gradient inherits, so they come before it is taken. */
const FORWARD = inOrder<Purpose>([
  { name: 'fold-norm', run: foldNorms, when: p => p.training },
  SLICES,
  { name: 'splits', run: joinSlices },
  { name: 'views', run: simplifyViews },
  { name: 'shifts', run: moveShifts },
  { name: 'time-major', run: timeMajor, when: fuses },
])

/** Operators that the target has. */
const DECOMPOSE = {
  name: 'decompose',
  run: (g: Graph, p: Pick<Purpose, 'target'>) => decompose(g, p.target),
  required: true,
} as const

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
  // Nodes with no more inputs and outputs than a target takes.
  { name: 'fanout', run: (g, p) => limitFanout(g, p.target.maxFanout), required: true },
  // Makes a step smaller, not faster, and plans for the order of all nodes: only when asked for, after all others.
  { name: 'recompute', run: recompute, when: p => p.recompute === true, required: true },
])

/** Passes over a graph whose nodes are looked at one by one. */
const PLAIN = inOrder<Pick<Purpose, 'target' | 'trace'>>([DECOMPOSE])

/** Passes over a graph that is written to a file. */
const SERVING = inOrder<ServingPurpose>([...INFERENCE, SLICES])
const OPSET = inOrder<OpsetPurpose>([
  { name: 'opset', run: (g, p) => forOpset(g, p.opset, p.contrib), required: true },
])

/** A forward graph as a training step computes it. */
export const forTraining = (graph: Graph, purpose: SeedPurpose): Graph => runPasses(TRAINING, graph, purpose)

/** A forward graph as evaluation and prediction compute it. */
export const forInference = (graph: Graph, purpose: ServingPurpose): Graph =>
  runPasses(INFERENCE, graph, purpose)

/** A forward graph that computes no more than is read of it, laid out as its products read it. */
export const optimizeForward = (graph: Graph, purpose: Purpose): Graph => runPasses(FORWARD, graph, purpose)

/** A complete graph as its target runs it best. */
export const optimizeFor = (graph: Graph, purpose: Purpose): Graph => runPasses(COMPLETE, graph, purpose)

/** A graph as it was written, of operators that its target has. */
export const runnableOn = (graph: Graph, purpose: Pick<Purpose, 'target' | 'trace'>): Graph =>
  runPasses(PLAIN, graph, purpose)

/** A graph as a file ships it: nothing of the training in it, no more computed than is put out. */
export const forServing = (graph: Graph, purpose: ServingPurpose = {}): Graph =>
  runPasses(SERVING, graph, purpose)

/** A graph of operators that an opset has. */
export const inOpset = (graph: Graph, purpose: OpsetPurpose): Graph => runPasses(OPSET, graph, purpose)
