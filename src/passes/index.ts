import type { Graph } from '../graph/graph.ts'
import type { Target } from '../runtime/device.ts'
import { decompose } from './decompose.ts'
import { limitFanout } from './fanout.ts'
import { withDType } from './float64.ts'

/** A rewriting of a graph that keeps what it computes. */
export interface Pass {
  readonly name: string
  readonly run: (graph: Graph) => Graph
}

/** Every pass that prepares a graph for a target, in order. */
export function passesFor(target: Target, dtype: 'float32' | 'float64'): Pass[] {
  return [
    ...(dtype === 'float64'
      ? [{ name: 'float64', run: (g: Graph) => withDType(g, 'float32', 'float64') }]
      : []),
    { name: 'decompose', run: g => decompose(g, target.lacks) },
    { name: 'fanout', run: g => limitFanout(g, target.maxFanout) },
  ]
}

/** The graph as the target runs it best. */
export const optimizeFor = (target: Target, graph: Graph, dtype: 'float32' | 'float64'): Graph =>
  passesFor(target, dtype).reduce((g, pass) => pass.run(g), graph)
