import { Constant, Input, ParameterOp, SizeOf } from './leaf.ts'
import { makeNode, type Node } from './node.ts'
import { lookup, nth } from './present.ts'
import { withScope } from './scope.ts'
import { sameShape, show } from './shape.ts'
import type { Tensor } from './tensor.ts'

/** Tensors by name. */
export type Tensors = Readonly<Record<string, Tensor>>

/** A computation: named inputs and parameters at one end, named outputs at the other. */
export interface Graph {
  /** By name. */
  readonly inputs: Tensors
  /** By name. */
  readonly parameters: Tensors
  /** By name. */
  readonly outputs: Tensors
}

/** Nodes that `roots` depend on, each after its inputs. Iterative: depth costs no stack. */
export function postorder(roots: readonly Tensor[]): Node[] {
  const order: Node[] = []
  const seen = new Set<Node>()
  const stack: { node: Node; next: number }[] = []
  const visit = (node: Node) => {
    if (seen.has(node)) return
    seen.add(node)
    stack.push({ node, next: 0 })
  }
  for (const root of roots) {
    visit(root.node)
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const input = top.node.inputs[top.next++]
      if (input) visit(input.node)
      else {
        stack.pop()
        order.push(top.node)
      }
    }
  }
  return order
}

/** The same tensors under each name. */
export const sameTensors = (a: Tensors, b: Tensors): boolean =>
  Object.entries(a).every(([name, t]) => b[name] === t)

export const nodesOf = (graph: Graph): Node[] => postorder(Object.values(graph.outputs))

export const isLeaf = (node: Node): boolean => LEAVES.has(node.op)
const LEAVES: ReadonlySet<object> = new Set([Input, ParameterOp, Constant, SizeOf])

/** For each tensor the nodes that read it. */
export function usersOf(nodes: readonly Node[]): Map<Tensor, Node[]> {
  const users = new Map<Tensor, Node[]>()
  for (const node of nodes)
    for (const input of new Set(node.inputs)) {
      const known = users.get(input)
      if (known) known.push(node)
      else users.set(input, [node])
    }
  return users
}

/** What a rewrite rule returns for a node whose inputs are already rewritten: its new outputs, or undefined. */
export type Rule = (node: Node, inputs: readonly Tensor[]) => readonly Tensor[] | undefined

/**
 * Rebuilds what `roots` compute from the leaves up. Types are inferred again for each node, so a rule that breaks one fails here.
 * Nodes whose inputs did not change stay the same object.
 * @param start tensors that are replaced from the outset (leaves, usually) @param path of the layer of new nodes
 */
export function rewriteTensors(
  roots: readonly Tensor[],
  rule: Rule,
  start: ReadonlyMap<Tensor, Tensor> = new Map(),
  path: (scope: string) => string = scope => scope,
): Tensor[] {
  const made = new Map(start)
  for (const node of postorder(roots)) {
    const inputs = node.inputs.map(t => lookup(made, t))
    const same = node.inputs.every((t, i) => t === inputs[i])
    const outputs = withScope(
      path(node.scope),
      () => rule(node, inputs) ?? (same ? node.outputs : makeNode(node.op, inputs, node.attrs).outputs),
    )
    node.outputs.forEach((t, i) => {
      if (!made.has(t)) made.set(t, nth(outputs, i))
    })
  }
  return roots.map(t => lookup(made, t))
}

const typeText = ({ dtype, shape }: Tensor): string => `${dtype} ${show(shape)}`

/** @throws Error when a tensor cannot stand for another: what made it has a fault @param what names the replaced one */
export function checkReplaced(what: string, before: Tensor, after: Tensor): void {
  if (before.dtype !== after.dtype || !sameShape(before.shape, after.shape))
    throw new Error(`internal: ${what}, ${typeText(before)}, is replaced by ${typeText(after)}`)
}

/**
 * {@link rewriteTensors} for a whole graph: same inputs and parameters, new outputs.
 * @throws Error when the rule changes the dtype or shape of a tensor
 */
export function rewrite(graph: Graph, rule: Rule): Graph {
  const names = Object.keys(graph.outputs)
  const outputs = rewriteTensors(Object.values(graph.outputs), (node, inputs) => {
    const replaced = rule(node, inputs)
    replaced?.forEach((t, i) => {
      const before = node.outputs[i]
      if (before && before !== t) checkReplaced(`${node.op.type} of ${node.scope || 'the graph'}`, before, t)
    })
    return replaced
  })
  return { ...graph, outputs: Object.fromEntries(names.map((name, i) => [name, nth(outputs, i)])) }
}

/** A graph whose leaves are other tensors, such as an input of known size in place of a symbolic one. */
export function substitute(graph: Graph, leaves: ReadonlyMap<Tensor, Tensor>): Tensors {
  const outputs = rewriteTensors(Object.values(graph.outputs), () => undefined, leaves)
  return Object.fromEntries(Object.keys(graph.outputs).map((name, i) => [name, nth(outputs, i)]))
}
