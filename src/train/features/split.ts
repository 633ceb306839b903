import { isConcrete } from '../../graph/bind.ts'
import { type Graph, isLeaf, postorder, rewriteTensors, type Tensors } from '../../graph/graph.ts'
import { Input, isParameter } from '../../graph/leaf.ts'
import type { Node } from '../../graph/node.ts'
import { lookup, zip } from '../../graph/present.ts'
import { show } from '../../graph/shape.ts'
import type { Tensor } from '../../graph/tensor.ts'
import { type Model, modelOf, namesOf, type PortSpecs, portTensors } from '../../nn/model.ts'
import { remade } from '../../nn/rewrite.ts'
import { Mode } from '../../ops/mode.ts'

/** A model in two halves: what is the same in every epoch, and the rest. */
export interface Split {
  /** From the model's inputs to the features, `[batch, ...]` each. */
  readonly encoder: Model
  /** From the features, and the inputs that it still reads, to the model's outputs; with all of the model's parameters. */
  readonly tail: Model
}

/** Which parameters and buffers a training changes, by name. */
export type Changes = (name: string) => 'trained' | 'assigned' | undefined

interface Fact {
  /** Whether it is a function of inputs, constants and fixed parameters, of each example alone. */
  readonly fixed: boolean
  /** Whether it depends on an input. */
  readonly read: boolean
}

const rootsOf = ({ outputs, assigned }: Model): Tensor[] => [
  ...Object.values(outputs),
  ...Object.values(assigned),
]

const describe = ({ op, scope }: Node): string => `${op.type}${scope ? ` in ${scope}` : ''}`

const batched = ({ shape }: Tensor): boolean => shape[0] === 'batch'

/** Whether a tensor can lie in memory for all examples. */
const storable = (t: Tensor): boolean => batched(t) && isConcrete(t.shape.slice(1))

/** Why a node by itself makes what follows differ from step to step. */
function obstacle(node: Node, read: boolean, names: ReadonlyMap<Tensor, string>, changes: Changes) {
  const [t] = node.outputs
  if (node.op === Input && t && !batched(t)) return `input ${node.attrs.name} has no batch axis`
  const name = t && isParameter(t) ? names.get(t) : undefined
  const change = name === undefined ? undefined : changes(name)
  if (change === 'trained') return `${name} is trained`
  if (change === 'assigned') return `${name} is updated in every step`
  if (node.op.random) return `${describe(node)} is random`
  if (node.op === Mode) return `${describe(node)} computes something else in a training step`
  // Where the batch is gone, its examples were put together.
  if (read && node.outputs.every(({ shape }) => isConcrete(shape)))
    return `${describe(node)} puts the examples of a batch together`
  return undefined
}

/** What is known of each node, and the first obstacle. */
function factsOf(model: Model, changes: Changes) {
  const names = namesOf(model)
  const facts = new Map<Node, Fact>()
  let first: string | undefined
  for (const node of postorder(rootsOf(model))) {
    const inputs = node.inputs.map(t => lookup(facts, t.node))
    const read = node.op === Input || inputs.some(f => f.read)
    const own = obstacle(node, read, names, changes)
    first ??= own
    facts.set(node, { read, fixed: own === undefined && inputs.every(f => f.fixed) })
  }
  return { facts, first }
}

/** The last fixed tensors before what changes, and the inputs that what changes reads itself. */
function frontierOf(model: Model, facts: ReadonlyMap<Node, Fact>) {
  const features = new Set<Tensor>()
  const kept = new Set<Tensor>()
  const seen = new Set<Tensor>()
  let open: string | undefined
  const stack = rootsOf(model).reverse()
  for (let t = stack.pop(); t; t = stack.pop()) {
    if (seen.has(t)) continue
    seen.add(t)
    const { fixed, read } = lookup(facts, t.node)
    if (t.node.op === Input) kept.add(t)
    else if (fixed && read && storable(t)) features.add(t)
    else {
      if (fixed && read)
        open ??= `the output of ${describe(t.node)} is ${show(t.shape)}, whose sizes per example are not fixed`
      stack.push(...[...t.node.inputs].reverse())
    }
  }
  return { features: [...features], kept, open }
}

/** Names `feature.0`, … but for those that are taken. */
function featureNames(count: number, taken: ReadonlySet<string>): string[] {
  const names: string[] = []
  for (let i = 0; names.length < count; i++) if (!taken.has(`feature.${i}`)) names.push(`feature.${i}`)
  return names
}

const chosen = <T>(record: Readonly<Record<string, T>>, keep: (name: string) => boolean) =>
  Object.fromEntries(Object.entries(record).filter(([name]) => keep(name)))

/**
 * Splits a model before the first computations that differ from step to step.
 * @param changes what a training changes @param taken names that features must not have
 * @returns why there is nothing to compute in advance, where that is so
 */
export function splitModel(model: Model, changes: Changes, taken: ReadonlySet<string>): Split | string {
  const { facts, first } = factsOf(model, changes)
  const { features, kept, open } = frontierOf(model, facts)
  if (!features.length) return open ?? first ?? 'the model computes nothing from its inputs'
  const names = featureNames(features.length, new Set([...taken, ...Object.keys(model.inputs)]))
  const ports: PortSpecs = Object.fromEntries(
    zip(names, features).map(([name, { dtype, shape }]) => [name, { dtype, shape: shape.slice(1) }]),
  )
  const leaves = portTensors(model.name, ports)
  const start = new Map<Tensor, Tensor>(
    zip(names, features).map(([name, t]): [Tensor, Tensor] => [t, lookup(leaves, name)]),
  )
  const { outputs, assigned } = remade({ ...model, intermediates: {} }, roots =>
    rewriteTensors(roots, () => undefined, start),
  )
  const { name, config, layers, parameters, graph } = model
  const about = { name, config, layers, parameters }
  const isKept = (key: string) => kept.has(lookup(graph.inputs, key))
  const tail = modelOf({
    ...about,
    inputs: { ...chosen(model.inputs, isKept), ...ports },
    leaves: { ...chosen(graph.inputs, isKept), ...leaves },
    outputs,
    assigned,
  })
  return { encoder: encoderOf(model, Object.fromEntries(zip(names, features))), tail }
}

/** The part of a model that computes these tensors. */
function encoderOf({ name, config, layers, parameters, graph, inputs }: Model, outputs: Tensors): Model {
  const nodes = new Set(postorder(Object.values(outputs)).filter(isLeaf))
  const isRead = (key: string) => nodes.has(lookup(graph.inputs, key).node)
  const leaves: Graph['inputs'] = chosen(graph.inputs, isRead)
  return modelOf({ name, config, layers, parameters, inputs: chosen(inputs, isRead), leaves, outputs })
}
