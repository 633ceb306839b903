import type { Graph } from '../graph/graph.ts'
import { joinViews } from './adjacent-views.ts'
import { foldAffine } from './fold-affine.ts'
import { inOrder, runPasses } from './pass.ts'
import { type ServingPurpose, SLICES, WHOLE_CHANNELS } from './serving.ts'

// Apart from the passes of serving: pages that predict do not load it.
const DEPLOYMENT = inOrder<ServingPurpose>([
  SLICES,
  { name: 'adjacent-views', run: joinViews },
  { name: 'fold-affine', run: foldAffine },
  WHOLE_CHANNELS,
])

/** A graph that computes at no run what can be part of its weights; what it makes of them is to be computed once. */
export const withFoldedWeights = (graph: Graph, purpose: ServingPurpose = {}): Graph =>
  runPasses(DEPLOYMENT, graph, purpose)
