import type { AttributeProto, NodeProto } from '../export/onnx-proto.ts'
import { UserError } from '../graph/errors.ts'
import { printable } from '../graph/printable.ts'
import type { Value } from './value.ts'

/** Values by their names in a graph, and in the graphs around it. */
export class Scope {
  readonly #values = new Map<string, Value>()
  readonly #outer: Scope | undefined

  constructor(outer?: Scope) {
    this.#outer = outer
  }

  get(name: string): Value | undefined {
    return this.#values.get(name) ?? this.#outer?.get(name)
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  /** @throws UserError for a name that is missing or taken */
  define(name: string | undefined, value: Value): void {
    if (!name) throw new UserError('has no name; the file is damaged')
    if (this.#values.has(name))
      throw new UserError(`${printable(name)} is defined twice; the file is damaged`)
    this.#values.set(name, value)
  }
}

/** What nodes are read in: the graph of a file, a branch of it, or a function that it calls. */
export interface Frame {
  readonly scope: Scope
  readonly opset: number
  /** Names that nodes of this graph compute. */
  readonly later: ReadonlySet<string>
  /** Path of the layers around it. */
  readonly path: string
  /** Attributes of the call, in a function. */
  readonly given?: ReadonlyMap<string, AttributeProto>
}

/** A node of a function with the attributes of its call in place of their names. */
export function resolvedNode(node: NodeProto, { given }: Pick<Frame, 'given'>): NodeProto {
  if (!given || !node.attribute?.length) return node
  const attribute = node.attribute.flatMap(a => {
    if (a.refAttrName) {
      const value = given.get(a.refAttrName)
      return value ? [{ ...value, name: a.name ?? '' }] : []
    }
    const { g } = a
    return g
      ? [{ ...a, g: { ...g, node: (g.node ?? []).map(inner => resolvedNode(inner, { given })) } }]
      : [a]
  })
  return { ...node, attribute }
}

/** The names that nodes compute. */
export const outputsOf = (nodes: readonly NodeProto[] = []): Set<string> =>
  new Set(nodes.flatMap(n => n.output ?? []))
