import { type Graph, isLeaf, nodesOf, usersOf } from './graph.ts'
import { layerEnds } from './layers.ts'
import type { Node } from './node.ts'
import { nth } from './present.ts'
import type { Shape } from './shape.ts'
import type { Tensor } from './tensor.ts'

/** One layer of a model. Parameters and multiply–accumulates are its own: those of rows below it are not repeated. */
export interface SummaryRow {
  /** Path of the layer, such as `blocks.0.attn`; empty for the model itself. */
  readonly layer: string
  /** Last part of the path, and how many layers it is inside of: 0 for the model. */
  readonly name: string
  /** How many layers it is inside of: 0 for the model. */
  readonly depth: number
  /** Shape of what the layer returns. */
  readonly output: Shape
  /** Values of its own parameters. */
  readonly parameters: number
  /** Multiply–accumulates of matrix products and convolutions, where each symbolic size counts as 1: of one image. */
  readonly macs: number
}

interface Layer {
  readonly path: string
  readonly name: string
  readonly depth: number
  readonly inner: Map<string, Layer>
  output: Shape
  parameters: number
  macs: number
}

/**
 * The layers of a graph in the order in which they run, the model itself first and each layer before those inside it.
 * The rows' parameters add up to the model's, and so do their multiply–accumulates.
 * @param options.depth deeper layers are counted in the layer that they are inside of; default 2
 */
export function summarize(graph: Graph, options: { readonly depth?: number } = {}): SummaryRow[] {
  const nodes = nodesOf(graph).filter(node => !isLeaf(node))
  const users = usersOf(nodes)
  const ends = layerEnds(graph)
  const split = splitter(nodes)
  const root = newLayer('', '', 0, Object.values(graph.outputs)[0]?.shape ?? [])

  const trails = new Map<Node, readonly Layer[]>()
  for (const node of nodes) trails.set(node, descend(root, split(node.scope).slice(0, options.depth ?? 2)))

  for (const [node, trail] of trails) {
    nth(trail, -1).macs += node.op.macs?.(node.inputs, node.outputs, node.attrs) ?? 0
    for (const layer of trail.slice(1)) layer.output = ends.get(layer.path)?.output.shape ?? []
  }
  for (const [name, t] of Object.entries(graph.parameters)) {
    const [user] = users.get(t) ?? []
    const reader = user && trails.get(user)?.at(-1)
    ownerOf(root, name, split(name), reader).parameters += sizeOf(t)
  }
  return flatten(root)
}

const newLayer = (path: string, name: string, depth: number, output: Shape): Layer => ({
  path,
  name,
  depth,
  inner: new Map(),
  output,
  parameters: 0,
  macs: 0,
})

const sizeOf = (t: Tensor): number => t.shape.reduce<number>((n, d) => n * (typeof d === 'number' ? d : 1), 1)

/**
 * Cuts paths into layers. A number belongs to the name before it (`blocks.0` is one layer), unless that name is a layer
 * with nodes of its own.
 */
function splitter(nodes: readonly Node[]): (path: string) => string[] {
  const scopes = new Set(nodes.map(node => node.scope))
  return path => {
    const parts: string[] = []
    for (const part of path ? path.split('.') : []) {
      const isIndex = /^\d+$/.test(part) && parts.length > 0 && !scopes.has(parts.join('.'))
      if (isIndex) parts.push(`${parts.pop()}.${part}`)
      else parts.push(part)
    }
    return parts
  }
}

/** The layers on the way to a path, made where they are new. */
function descend(root: Layer, parts: readonly string[]): Layer[] {
  const trail = [root]
  for (const part of parts) {
    const outer = nth(trail, -1)
    const path = outer.path ? `${outer.path}.${part}` : part
    const found = outer.inner.get(part) ?? newLayer(path, part, outer.depth + 1, [])
    outer.inner.set(part, found)
    trail.push(found)
  }
  return trail
}

/**
 * The layer that a parameter's name says, as far as there is one. A plain name is a property of the model; where a name
 * is no path to a layer (other programs' files), the layer that reads it.
 */
function ownerOf(root: Layer, name: string, parts: readonly string[], reader: Layer | undefined): Layer {
  let owner = root
  for (const part of parts) {
    const inner = owner.inner.get(part)
    if (!inner) break
    owner = inner
  }
  return owner === root && !/^\w+$/.test(name) ? (reader ?? root) : owner
}

function flatten(root: Layer): SummaryRow[] {
  const rows: SummaryRow[] = []
  const stack = [root]
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { path, inner, ...row } = next
    rows.push({ layer: path, ...row })
    stack.push(...[...inner.values()].reverse())
  }
  return rows
}
