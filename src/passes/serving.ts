import type { Graph } from '../graph/graph.ts'
import { inferenceForm } from '../ops/mode.ts'
import { joinViews } from './adjacent-views.ts'
import { forOpset } from './decompose.ts'
import { foldAffine } from './fold-affine.ts'
import { layersIntoGemm } from './gemm.ts'
import { inOrder, runPasses, type Trace } from './pass.ts'
import { pushSlices } from './slices.ts'

/** What a graph outside of training is prepared for. */
export interface ServingPurpose {
  readonly trace?: Trace | undefined
}

/** What a graph that is written to a file is prepared for. */
export interface OpsetPurpose extends ServingPurpose {
  readonly opset: number
  /** Operators of onnxruntime's own may be used. */
  readonly contrib: boolean
}

const INFERENCE = inOrder<ServingPurpose>([{ name: 'inference-form', run: inferenceForm, required: true }])

/** Computes no more than is read. */
export const SLICES = { name: 'slices', run: pushSlices } as const

/** Passes over a graph that is written to a file. */
const SERVING = inOrder<ServingPurpose>([...INFERENCE, SLICES])
/** Passes over a graph that is made as fast as it can be, with weights of its own. */
const OPTIMIZED = inOrder<ServingPurpose>([
  SLICES,
  { name: 'adjacent-views', run: joinViews },
  { name: 'fold-affine', run: foldAffine },
])
const OPSET = inOrder<OpsetPurpose>([
  { name: 'opset', run: (g, p) => forOpset(g, p.opset, p.contrib), required: true },
  { name: 'gemm', run: layersIntoGemm },
])

/** A forward graph as evaluation and prediction compute it. */
export const forInference = (graph: Graph, purpose: ServingPurpose): Graph =>
  runPasses(INFERENCE, graph, purpose)

/** A graph as a file ships it: nothing of the training in it, nothing computed beyond the outputs. */
export const forServing = (graph: Graph, purpose: ServingPurpose = {}): Graph =>
  runPasses(SERVING, graph, purpose)

/** A graph that computes at no run what can be part of its weights; what it makes of them is to be computed once. */
export const withFoldedWeights = (graph: Graph, purpose: ServingPurpose = {}): Graph =>
  runPasses(OPTIMIZED, graph, purpose)

/** A graph of operators that an opset has. */
export const inOpset = (graph: Graph, purpose: OpsetPurpose): Graph => runPasses(OPSET, graph, purpose)
