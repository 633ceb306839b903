import { type Graph, rewrite } from '../graph/graph.ts'

/** What came after the opset is written in older operators, in a form that runtimes know. */
export const forOpset = (graph: Graph, opset: number): Graph =>
  rewrite(graph, ({ op, attrs }, args) => ((op.since ?? 0) > opset ? op.decompose?.(args, attrs) : undefined))
