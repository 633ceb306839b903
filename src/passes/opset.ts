import type { Graph } from '../graph/graph.ts'
import { forOpset } from './decompose.ts'
import { layersIntoGemm } from './layer-gemm.ts'
import { inOrder, runPasses } from './pass.ts'
import type { ServingPurpose } from './serving.ts'

/** What a graph that is written to a file is prepared for. */
export interface OpsetPurpose extends ServingPurpose {
  readonly opset: number
  /** Operators of onnxruntime's own may be used. */
  readonly contrib: boolean
}

const OPSET = inOrder<OpsetPurpose>([
  { name: 'opset', run: (g, p) => forOpset(g, p.opset, p.contrib), required: true },
  { name: 'gemm', run: layersIntoGemm },
])

/** A graph of operators that an opset has. */
export const inOpset = (graph: Graph, purpose: OpsetPurpose): Graph => runPasses(OPSET, graph, purpose)
