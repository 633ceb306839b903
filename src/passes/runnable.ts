import type { Graph } from '../graph/graph.ts'
import type { Target } from '../graph/target.ts'
import { decompose } from './decompose.ts'
import { limitFanout } from './fanout.ts'
import { inOrder, runPasses, type Trace } from './pass.ts'
import { WHOLE_CHANNELS } from './serving.ts'

/** Where a graph runs. */
export interface RunnablePurpose {
  readonly target: Target
  readonly trace?: Trace | undefined
}

/** Operators that the target has. */
export const DECOMPOSE = {
  name: 'decompose',
  run: (g: Graph, p: Pick<RunnablePurpose, 'target'>) => decompose(g, p.target),
  required: true,
} as const

/** Nodes with as many inputs and outputs as the target's kernels have. */
export const FANOUT = {
  name: 'fanout',
  run: (g: Graph, p: Pick<RunnablePurpose, 'target'>) => limitFanout(g, p.target.maxFanout),
  required: true,
} as const

/** Passes over a graph whose nodes are looked at one by one. */
const PLAIN = inOrder<RunnablePurpose>([
  DECOMPOSE,
  { ...WHOLE_CHANNELS, when: ({ target }) => target.name === 'webgpu' },
  FANOUT,
])

/** A graph as it was written, of operators that its target has. */
export const runnableOn = (graph: Graph, purpose: RunnablePurpose): Graph => runPasses(PLAIN, graph, purpose)
