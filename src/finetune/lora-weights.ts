import { UserError } from '../graph/errors.ts'
import { nodesOf } from '../graph/graph.ts'
import { isParameter, parameterAttrs } from '../graph/leaf.ts'
import type { Node } from '../graph/node.ts'
import { nth } from '../graph/present.ts'
import type { Tensor } from '../graph/tensor.ts'
import { allRoots } from '../nn/edit.ts'
import { type Model, namesOf } from '../nn/model.ts'
import { type WeightUse, weightUseOf } from '../nn/weight-use.ts'
import { MatMul, Reshape, Slice, Split, Transpose } from '../ops/primitives.ts'
import { matchesAny, type NamePattern } from '../optim/patterns.ts'
import { headOf } from './head.ts'

/** The weights of a model that low-rank updates can be added to. */
export interface Adaptable {
  /** Weights that linear layers and convolutions alone read, each whole, with those layers. */
  readonly whole: ReadonlyMap<Tensor, readonly WeightUse[]>
  /** Matrices that linear layers read in pieces, such as a joint projection of queries, keys and values, or in several forms. */
  readonly pieces: ReadonlySet<Tensor>
}

const FORMS = new Set<object>([Transpose, Reshape])
const PIECES = new Set<object>([...FORMS, Slice, Split])

/** The nodes that read a tensor, behind those of some kinds. */
function usersBehind(nodes: readonly Node[], kinds: ReadonlySet<object>): (t: Tensor) => [Node, Tensor][] {
  const read = new Map<Tensor, Node[]>()
  for (const node of nodes) for (const t of node.inputs) read.set(t, [...(read.get(t) ?? []), node])
  const users = (t: Tensor): [Node, Tensor][] =>
    (read.get(t) ?? []).flatMap(node =>
      kinds.has(node.op) ? node.outputs.flatMap(users) : [[node, t] as [Node, Tensor]],
    )
  return users
}

/** Whether layers read a weight in the same form: one may read it transposed. */
function readAlike(uses: readonly WeightUse[]): boolean {
  const forms = uses.map(({ kind, turns, node }) => JSON.stringify([kind, turns, nth(node.inputs, 1).shape]))
  return new Set(forms).size === 1
}

/** Weights of linear layers and convolutions; none that something else reads too, such as an embedding, which would change. */
export function adaptableWeights(model: Model): Adaptable {
  const nodes = nodesOf({ ...model.graph, outputs: allRoots(model) })
  const found = new Map<Tensor, WeightUse[]>()
  for (const use of nodes.flatMap(node => weightUseOf(node) ?? []))
    found.set(use.weight, [...(found.get(use.weight) ?? []), use])
  const users = usersBehind(nodes, FORMS)
  const whole = [...found].filter(([weight, uses]) => {
    const own = new Set(uses.map(use => use.node))
    return users(weight).every(([node]) => own.has(node)) && readAlike(uses)
  })
  const alike = new Map(whole)
  const behind = usersBehind(nodes, PIECES)
  const isWeight = ([{ op, inputs }, t]: [Node, Tensor]) =>
    op === MatMul && inputs[1] === t && inputs[0] !== t
  const pieces = [...model.parameters.values()].filter(p => {
    if (p.shape.length !== 2 || alike.has(p)) return false
    const own = behind(p)
    return own.length > 0 && own.every(isWeight)
  })
  return { whole: alike, pieces: new Set(pieces) }
}

/** A model without an output of classes has no head. */
function headNames(model: Model): readonly string[] {
  try {
    return headOf(model).parameters
  } catch (error) {
    if (error instanceof UserError) return []
    throw error
  }
}

/**
 * Names of the weights to adapt.
 * @param pattern of names @default all but the head's @throws UserError when there are none
 */
export function chosenWeights(
  model: Model,
  { whole, pieces }: Adaptable,
  pattern?: NamePattern | readonly NamePattern[],
): readonly string[] {
  const fits = (p: Tensor): boolean =>
    isParameter(p) &&
    !parameterAttrs(p).buffer &&
    (pieces.has(p) || (whole.get(p)?.every(use => use.groups === 1) ?? false))
  const able = [...namesOf(model)].flatMap(([p, name]) => (fits(p) ? [name] : []))
  const head = pattern === undefined ? headNames(model) : []
  const chosen = able.filter(name =>
    pattern === undefined ? !head.includes(name) : matchesAny(pattern, name),
  )
  if (chosen.length) return chosen
  throw new UserError(
    pattern === undefined
      ? `lora: ${model.name} has no linear layer or convolution but its head`
      : `lora: ${model.name} has no linear layer or convolution of which the weight matches ${[pattern].flat().join(', ')}; there are ${able.slice(0, 6).join(', ') || 'none'}`,
  )
}
