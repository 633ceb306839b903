import { UserError } from '../graph/errors.ts'
import { nodesOf } from '../graph/graph.ts'
import { type Parameter, parameter, parameterAttrs } from '../graph/leaf.ts'
import { match } from '../graph/match.ts'
import { makeNode, type Node } from '../graph/node.ts'
import { lookup, nth } from '../graph/present.ts'
import { withScope } from '../graph/scope.ts'
import { show } from '../graph/shape.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { buffer } from '../nn/buffer.ts'
import type { Model } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import convolution from '../ops/conv.ts'
import { dropout } from '../ops/dropout.ts'
import { add, mul } from '../ops/elementwise.ts'
import { transpose } from '../ops/layout.ts'
import { matmul } from '../ops/matmul.ts'
import { matchesAny, type NamePattern } from '../optim/patterns.ts'
import { allRoots, edited, namesOf, startingAt } from './edit.ts'
import { headOf } from './head.ts'
import { type WeightUse, weightUseOf } from './weight-use.ts'

const { Conv } = convolution

/** Options of `lora`. */
export interface LoraOptions {
  /** Rank of the update of each weight. @default 8 */
  readonly rank?: number | undefined
  /** The update is scaled by `alpha / rank`. @default rank */
  readonly alpha?: number | undefined
  /** Fraction of the layer's inputs that the update does not see in a training step. @default 0 */
  readonly dropout?: number | undefined
  /**
   * Names of the weights to adapt, such as `*.attn.*`: those of linear layers, of the projections of attention, and of convolutions
   * without groups. @default all of them but the head's
   */
  readonly match?: NamePattern | readonly NamePattern[] | undefined
}

/** Names of the parameters that `lora` adds and trains. */
export const LORA: RegExp = /\.lora_[AB]\.weight$/

/** Parameters of one adapted weight, by their names. */
export const loraNames = (weight: string) => {
  const path = weight.replace(/\.weight$/, '')
  return { a: `${path}.lora_A.weight`, b: `${path}.lora_B.weight`, scale: `${path}.lora_scale` }
}

/** All that is read by linear layers and convolutions alone, by parameter. */
export function weightUses(model: Model): ReadonlyMap<Tensor, readonly WeightUse[]> {
  const nodes = nodesOf({ ...model.graph, outputs: allRoots(model) })
  const found = new Map<Tensor, WeightUse[]>()
  for (const use of nodes.flatMap(node => weightUseOf(node) ?? []))
    found.set(use.weight, [...(found.get(use.weight) ?? []), use])
  // A weight that an embedding shares would change there too.
  const carriers = new Set(nodes.filter(node => CHAIN.has(node.op.type)))
  const read = new Map<Tensor, Node[]>()
  for (const node of nodes) for (const t of node.inputs) read.set(t, [...(read.get(t) ?? []), node])
  const users = (t: Tensor): Node[] =>
    (read.get(t) ?? []).flatMap(node => (carriers.has(node) ? node.outputs.flatMap(users) : [node]))
  return new Map(
    [...found].filter(([weight, uses]) => {
      const own = new Set(uses.map(use => use.node))
      return users(weight).every(node => own.has(node))
    }),
  )
}

const CHAIN = new Set(['Transpose', 'Reshape'])

function checkOptions({ rank = 8, alpha = rank, dropout: rate = 0 }: LoraOptions): void {
  if (!Number.isInteger(rank) || rank < 1)
    throw new UserError(`lora: rank must be a whole number of at least 1, not ${rank}`)
  if (!(alpha > 0 && Number.isFinite(alpha))) throw new UserError(`lora: alpha must be above 0, not ${alpha}`)
  if (!(rate >= 0 && rate < 1))
    throw new UserError(`lora: dropout must be at least 0 and below 1, not ${rate}`)
}

/** The weights to adapt, by name. */
function chosenWeights(model: Model, pattern: LoraOptions['match']): Map<Tensor, string> {
  const names = namesOf(model)
  const uses = weightUses(model)
  const fits = (use: WeightUse) => use.groups === 1 && !parameterAttrs(use.weight).buffer
  const able = [...uses]
    .filter(([, all]) => all.every(fits))
    .map(([w]): [Tensor, string] => [w, lookup(names, w)])
  const head = new Set(pattern === undefined ? headNames(model) : [])
  const chosen = able.filter(([, name]) =>
    pattern === undefined ? !head.has(name) : matchesAny(pattern, name),
  )
  if (chosen.length) return new Map(chosen)
  throw new UserError(
    `lora: ${model.name} has no linear layer or convolution${
      pattern === undefined
        ? ' but its head'
        : ` of which the weight matches ${[pattern].flat().join(', ')}; there are ${
            able
              .slice(0, 6)
              .map(([, name]) => name)
              .join(', ') || 'none'
          }`
    }`,
  )
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
 * Low-rank adaptation (Hu et al. 2021): beside each weight W of a linear layer or convolution an update `alpha / rank · B A`, with
 * `lora_A` `[rank, in]` and `lora_B` `[out, rank]`, named as in PEFT. B starts at zero, so that the model computes what it did. Train
 * only the updates with `train: LORA`, or `train: [LORA, /^head\./]`. {@link mergeLora} adds them to the weights; `adapterInputs`
 * makes them inputs of a file.
 * @returns a model with the same inputs and outputs
 * @throws UserError for invalid options, or when no weight matches
 */
export function lora(source: Model | TrainedModel, options: LoraOptions = {}): Model {
  checkOptions(options)
  const { rank = 8, alpha = rank, dropout: rate = 0 } = options
  const model = startingAt(source)
  const chosen = chosenWeights(model, options.match)
  const added = new Map<string, Parameter>()
  const known = weightUses(model)
  const pairs = new Map([...chosen].map(([weight, name]) => [weight, pairOf(weight, name)] as const))
  function pairOf(weight: Tensor, name: string) {
    const use = nth(lookup(known, weight), 0)
    const { a, b } = shapesOf(use, rank)
    const names = loraNames(name)
    if (model.parameters.has(names.a))
      throw new UserError(`lora: ${name} has an update already; merge it with mergeLora first`)
    const fanIn = a.slice(1).reduce((x, y) => x * y, 1)
    const pair = {
      a: parameter(a, { kind: 'uniform', bound: 1 / Math.sqrt(fanIn) }),
      b: parameter(b, { kind: 'constant', value: 0 }),
      scale: buffer([], { kind: 'constant', value: alpha / rank }),
    }
    added.set(names.a, pair.a).set(names.b, pair.b).set(names.scale, pair.scale)
    return { ...pair, path: names.a.replace(/\.lora_A\.weight$/, '') }
  }
  const uses = new Map([...known].flatMap(([, all]) => all.map(use => [use.node, use] as const)))
  return edited(model, {
    parameters: new Map([...model.parameters, ...added]),
    rule: (node, inputs) => {
      const use = uses.get(node)
      const pair = use && pairs.get(use.weight)
      if (!pair) return undefined
      const [y] = makeNode(node.op, inputs, node.attrs).outputs
      const update = withScope(`${pair.path}.lora`, () => {
        const x = dropout(nth(inputs, 0) as AnyTensor, rate)
        return use.kind === 'conv' ? convUpdate(x, node, pair) : linearUpdate(x, pair)
      })
      return [add(nth([y], 0) as AnyTensor, update)]
    },
  })
}

type Pair = { readonly a: AnyTensor; readonly b: AnyTensor; readonly scale: AnyTensor }

const linearUpdate = (x: AnyTensor, { a, b, scale }: Pair): AnyTensor =>
  matmul(mul(matmul(x, transpose(a, [1, 0])), scale), transpose(b, [1, 0]))

/** A convolution to `rank` channels with the kernel of the weight, then one of 1 × 1. */
function convUpdate(x: AnyTensor, node: Node, { a, b, scale }: Pair): AnyTensor {
  const conv = match(node, Conv)
  if (!conv) throw new Error('internal: not a convolution')
  const down: AnyTensor = Conv.apply([x, a], conv.attrs)
  const ones = conv.attrs.kernel_shape.map(() => 1)
  const zeros = conv.attrs.pads.map(() => 0)
  return Conv.apply([mul(down, scale), b], {
    ...conv.attrs,
    kernel_shape: ones,
    pads: zeros,
    strides: ones,
    dilations: ones,
  })
}

/** Shapes of the two factors of a weight's update. */
export function shapesOf({ kind, node }: WeightUse, rank: number): { a: number[]; b: number[] } {
  const operand: readonly unknown[] = nth(node.inputs, 1).shape
  const sizes = operand.map(Number)
  if (sizes.some(d => !(d > 0)))
    throw new UserError(`lora: a weight of ${show(nth(node.inputs, 1).shape)} has no known size`)
  if (kind === 'linear') return { a: [rank, nth(sizes, 0)], b: [nth(sizes, 1), rank] }
  const [outputs = 0, ...filter] = sizes
  return { a: [rank, ...filter], b: [outputs, rank, ...filter.slice(1).map(() => 1)] }
}
