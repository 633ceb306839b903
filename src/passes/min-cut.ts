import { lookup } from '../graph/present.ts'

/** An edge of a network. */
export interface Edge<T> {
  readonly from: T
  readonly to: T
  /** At least 0; infinite for an edge that no cut may hold. */
  readonly capacity: number
}

/**
 * The source's side of a cut of least capacity between source and sink: what can still be reached from the source once
 * the largest flow runs (Ford & Fulkerson 1956), found along shortest paths (Edmonds & Karp 1972).
 * @param edges every path from source to sink has one of finite capacity
 */
export function minCut<T>(edges: readonly Edge<T>[], source: T, sink: T): Set<T> {
  const capacities = new Map<T, Map<T, number>>()
  const widen = (from: T, to: T, by: number) => {
    const ways = capacities.get(from) ?? new Map<T, number>()
    capacities.set(from, ways.set(to, (ways.get(to) ?? 0) + by))
  }
  for (const { from, to, capacity } of edges) {
    widen(from, to, capacity)
    widen(to, from, 0)
  }
  for (;;) {
    const before = new Map<T, T>([[source, source]])
    for (const node of before.keys())
      for (const [next, left] of capacities.get(node) ?? [])
        if (left > 0 && !before.has(next)) before.set(next, node)
    if (!before.has(sink)) return new Set(before.keys())
    const path: [from: T, to: T][] = []
    for (let to = sink; to !== source; ) {
      const from = lookup(before, to)
      path.push([from, to])
      to = from
    }
    const flow = Math.min(...path.map(([from, to]) => lookup(lookup(capacities, from), to)))
    for (const [from, to] of path) {
      widen(from, to, -flow)
      widen(to, from, flow)
    }
  }
}
