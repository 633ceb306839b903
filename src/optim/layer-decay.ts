import { UserError } from '../graph/errors.ts'
import { postorder } from '../graph/graph.ts'
import { Input, isParameter, parameterAttrs } from '../graph/leaf.ts'
import type { Node } from '../graph/node.ts'
import type { Tensor } from '../graph/tensor.ts'
import type { Model } from '../nn/model.ts'
import type { ParameterGroup } from './groups.ts'

/** Options of `layerDecay`. */
export interface LayerDecayOptions {
  /** Learning rate of the last layer: the optimizer's. */
  readonly lr: number
  /** What the rate is multiplied by from each layer to the one before it, such as 0.75. Above 0, at most 1. */
  readonly decay: number
}

/** Names of trained parameters in the order in which what runs from the inputs to the outputs meets them. */
function inOrderOfUse({ parameters, outputs }: Model): string[] {
  const names = new Map<Tensor, string>(
    [...parameters].filter(([, p]) => !parameterAttrs(p).buffer).map(([name, p]) => [p, name]),
  )
  const ordered = new Set<string>()
  /** Of nodes that depend on no input: the parameters that they are made of. */
  const waiting = new Map<Node, readonly string[]>()
  for (const node of postorder(Object.values(outputs))) {
    const [leaf] = node.outputs
    const name = leaf && isParameter(leaf) ? names.get(leaf) : undefined
    const own = name === undefined ? node.inputs.flatMap(t => waiting.get(t.node) ?? []) : [name]
    // Weights that are transposed first, say, are used where their result meets what comes from the inputs.
    if (node.op !== Input && node.inputs.every(t => waiting.has(t.node))) waiting.set(node, [...new Set(own)])
    else for (const key of own) ordered.add(key)
  }
  // What no output reads comes last.
  return [...new Set([...ordered, ...names.values()])]
}

/** The path up to its first number, such as `blocks.3` of `blocks.3.attn.qkv.weight`. */
const numbered = (name: string): string | undefined => name.match(/^(?:[^.]+\.)*?\d+(?=\.|$)/)?.[0]

/** Parameters by layer, from the first to the last. */
function layersOf(names: readonly string[]): string[][] {
  const layers = new Map<string, string[]>()
  const put = (layer: string, name: string) => layers.set(layer, [...(layers.get(layer) ?? []), name])
  const ids = names.map(numbered)
  const last = ids.findLastIndex(id => id !== undefined)
  let present = 'stem'
  for (const [i, name] of names.entries()) {
    const first = name.split('.')[0] ?? name
    // Before the numbered layers, in them (what has no number belongs to the one before it), or after them.
    if (last < 0) put(first, name)
    else if (i > last) put('head', name)
    else {
      const id = ids[i]
      if (id !== undefined) present = `layer ${id}`
      put(present, name)
    }
  }
  return [...layers.values()]
}

/** Patterns for exactly these names: a path with `*` where all that lies under it is among them. */
function patternsFor(names: readonly string[], all: readonly string[]): string[] {
  const own = new Set(names)
  const patterns = names.map(name => {
    const parts = name.split('.')
    const paths = parts.slice(0, -1).map((_, i) => `${parts.slice(0, i + 1).join('.')}.`)
    const whole = paths.find(path => all.every(other => !other.startsWith(path) || own.has(other)))
    return whole === undefined ? name : `${whole}*`
  })
  return [...new Set(patterns)]
}

/**
 * Parameter groups whose learning rate falls from the last layer to the first: lr · decay^(last − i) for layer i
 * (layer-wise decay, Clark et al. 2020; fine-tuning of ViTs, Bao et al. 2022). A layer is what lies under a path up to
 * its first number, such as `blocks.3` or `layer1.0`, in the order in which the model uses them. What comes before the
 * first of them is layer 0; what comes after the last of them, such as a final norm and the head, is the last layer. A
 * model without numbered layers has one for each first name of a path.
 * @example
 * adamW({ lr: 1e-3, groups: layerDecay(net, { lr: 1e-3, decay: 0.75 }) })
 * @throws UserError for a rate or decay that is out of range
 */
export function layerDecay(model: Model, { lr, decay }: LayerDecayOptions): ParameterGroup[] {
  if (!(lr > 0 && Number.isFinite(lr)))
    throw new UserError(`layerDecay: lr must be a number above 0, not ${lr}`)
  if (!(decay > 0 && decay <= 1))
    throw new UserError(`layerDecay: decay must be above 0 and at most 1, not ${decay}`)
  const names = inOrderOfUse(model)
  const layers = layersOf(names)
  return layers.flatMap((own, i) =>
    patternsFor(own, names).map(match => ({ match, lr: lr * decay ** (layers.length - 1 - i) })),
  )
}
