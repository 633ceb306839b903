import type { NodeOutcome } from '../import/import.ts'

/** What becomes of the nodes of one operator. */
export interface OperatorUse {
  readonly operator: string
  readonly nodes: number
  readonly kind: NodeOutcome['kind']
  /** Why the first of them is not imported. */
  readonly reason?: string
}

/** What becomes of a file's nodes: the operators that stand in the way first, of each kind the most frequent. */
export type Importable = readonly OperatorUse[]

const ORDER: Readonly<Record<NodeOutcome['kind'], number>> = {
  refused: 0,
  unreached: 1,
  kept: 2,
  imported: 3,
}

/** The nodes of each operator together. */
export function importableOf(outcomes: readonly NodeOutcome[]): Importable {
  const groups = new Map<string, OperatorUse>()
  for (const { operator, kind, reason } of outcomes) {
    const key = `${kind} ${operator}`
    const nodes = (groups.get(key)?.nodes ?? 0) + 1
    const first = groups.get(key)?.reason ?? reason
    groups.set(key, { operator, nodes, kind, ...(first === undefined ? {} : { reason: first }) })
  }
  return [...groups.values()].sort(
    (a, b) => ORDER[a.kind] - ORDER[b.kind] || b.nodes - a.nodes || (a.operator < b.operator ? -1 : 1),
  )
}

export const nodesOf = (uses: Importable, kind: NodeOutcome['kind']): number =>
  uses.reduce((n, use) => (use.kind === kind ? n + use.nodes : n), 0)

/** The result in a sentence: `149 of 152 nodes import; 3 are not supported`. */
export function importableText(uses: Importable): string {
  const all = uses.reduce((n, use) => n + use.nodes, 0)
  const [kept, refused, unreached] = [
    nodesOf(uses, 'kept'),
    nodesOf(uses, 'refused'),
    nodesOf(uses, 'unreached'),
  ]
  const imported = nodesOf(uses, 'imported')
  if (imported === all) return `All ${all} nodes import.`
  const parts = [
    `${imported} of ${all} nodes import`,
    ...(kept
      ? [
          `${kept} ${kept > 1 ? 'run' : 'runs'} as the file has ${kept > 1 ? 'them' : 'it'}, without a gradient`,
        ]
      : []),
    ...(refused ? [`${refused} ${refused > 1 ? 'are' : 'is'} not supported`] : []),
    ...(unreached ? [`${unreached} ${unreached > 1 ? 'read' : 'reads'} what those compute`] : []),
  ]
  return `${parts.join('; ')}.`
}
