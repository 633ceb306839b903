import type { Graph } from '../graph/graph.ts'
import { inferenceForm } from '../ops/mode.ts'
import { inOrder, runPasses, type Trace } from './pass.ts'
import { pushSlices } from './slices.ts'
import { wholeChannels } from './whole-channels.ts'

/** What a graph outside of training is prepared for. */
export interface ServingPurpose {
  readonly trace?: Trace | undefined
}

const INFERENCE = inOrder<ServingPurpose>([{ name: 'inference-form', run: inferenceForm, required: true }])

/** Computes no more than is read. */
export const SLICES = { name: 'slices', run: pushSlices } as const

/** Convolutions that WebGPU computes right. */
export const WHOLE_CHANNELS = { name: 'whole-channels', run: wholeChannels, required: true } as const

/** Passes over a graph that is written to a file, which any device may run. */
const SERVING = inOrder<ServingPurpose>([...INFERENCE, SLICES, WHOLE_CHANNELS])

/** A forward graph as evaluation and prediction compute it. */
export const forInference = (graph: Graph, purpose: ServingPurpose): Graph =>
  runPasses(INFERENCE, graph, purpose)

/** A graph as a file ships it: nothing of the training in it, nothing computed beyond the outputs. */
export const forServing = (graph: Graph, purpose: ServingPurpose = {}): Graph =>
  runPasses(SERVING, graph, purpose)
