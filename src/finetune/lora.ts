import { sizesOf } from '../graph/bind.ts'
import { UserError } from '../graph/errors.ts'
import { type Parameter, parameter } from '../graph/leaf.ts'
import { match } from '../graph/match.ts'
import { makeNode, type Node } from '../graph/node.ts'
import { lookup, nth, present } from '../graph/present.ts'
import { withScope } from '../graph/scope.ts'
import type { AnyTensor, Tensor } from '../graph/tensor.ts'
import { buffer } from '../nn/buffer.ts'
import { edited, startingAt } from '../nn/edit.ts'
import type { Model } from '../nn/model.ts'
import type { TrainedModel } from '../nn/trained.ts'
import type { WeightUse } from '../nn/weight-use.ts'
import convolution from '../ops/conv.ts'
import { dropout } from '../ops/dropout.ts'
import { add, mul } from '../ops/elementwise.ts'
import { transpose } from '../ops/layout.ts'
import { matmul } from '../ops/matmul.ts'
import type { NamePattern } from '../optim/patterns.ts'
import { adaptableWeights, chosenWeights } from './lora-weights.ts'

const { Conv } = convolution

/** Options of `lora`. */
export interface LoraOptions {
  /** Rank of the update of each weight. @default 8 */
  readonly rank?: number | undefined
  /** The update is scaled by `alpha / rank`. @default rank */
  readonly alpha?: number | undefined
  /**
   * Fraction of the layer's inputs that the update does not see in a training step; not of weights that are read in pieces, as
   * exported files read a joint projection of queries, keys and values. @default 0
   */
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

function checkOptions({ rank = 8, alpha = rank, dropout: rate = 0 }: LoraOptions): void {
  if (!Number.isInteger(rank) || rank < 1)
    throw new UserError(`lora: rank must be a whole number of at least 1, not ${rank}`)
  if (!(alpha > 0 && Number.isFinite(alpha))) throw new UserError(`lora: alpha must be above 0, not ${alpha}`)
  if (!(rate >= 0 && rate < 1))
    throw new UserError(`lora: dropout must be at least 0 and below 1, not ${rate}`)
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
  const { whole, pieces } = adaptableWeights(model)
  const added = new Map<string, Parameter>()
  const pairs = new Map<Tensor, Pair>()
  for (const name of chosenWeights(model, { whole, pieces }, options.match)) {
    const names = loraNames(name)
    if (model.parameters.has(names.a))
      throw new UserError(`lora: ${name} has an update already; merge it with mergeLora first`)
    const weight = lookup(model.parameters, name)
    const { a, b } = shapesOf(weight, whole.get(weight)?.[0], rank)
    const bound = 1 / Math.sqrt(a.slice(1).reduce((x, y) => x * y, 1))
    const pair = {
      path: names.a.replace(/\.lora_A\.weight$/, ''),
      a: parameter(a, { kind: 'uniform', bound }),
      b: parameter(b, { kind: 'constant', value: 0 }),
      scale: buffer([], { kind: 'constant', value: alpha / rank }),
    }
    added.set(names.a, pair.a).set(names.b, pair.b).set(names.scale, pair.scale)
    pairs.set(weight, pair)
  }
  const uses = new Map([...whole.values()].flat().map(use => [use.node, use] as const))
  return edited(model, {
    parameters: new Map([...model.parameters, ...added]),
    // Of a weight that is read in pieces, the pieces are those of the sum.
    replaced: new Map(
      [...pairs].flatMap(([w, { a, b, scale, path }]): [Tensor, Tensor][] =>
        pieces.has(w)
          ? [[w, withScope(`${path}.lora`, () => add(w as AnyTensor, matmul(mul(b, scale), a)))]]
          : [],
      ),
    ),
    rule: (node, inputs) => {
      const use = uses.get(node)
      const pair = use && pairs.get(use.weight)
      if (!pair) return undefined
      const y: AnyTensor = nth(makeNode(node.op, inputs, node.attrs).outputs, 0)
      const update = withScope(`${pair.path}.lora`, () => {
        const x = dropout(nth(inputs, 0) as AnyTensor, rate)
        return use.kind === 'conv' ? convUpdate(x, node, pair) : linearUpdate(x, pair)
      })
      return [add(y, update)]
    },
  })
}

interface Pair {
  readonly a: AnyTensor
  readonly b: AnyTensor
  readonly scale: AnyTensor
  readonly path: string
}

const linearUpdate = (x: AnyTensor, { a, b, scale }: Pair): AnyTensor =>
  matmul(mul(matmul(x, transpose(a, [1, 0])), scale), transpose(b, [1, 0]))

/** A convolution to `rank` channels with the kernel of the weight, then one of 1 × 1. */
function convUpdate(x: AnyTensor, node: Node, { a, b, scale }: Pair): AnyTensor {
  const { attrs } = present(match(node, Conv), 'convolution')
  const down: AnyTensor = Conv.apply([x, a], attrs)
  const ones = attrs.kernel_shape.map(() => 1)
  const pads = attrs.pads.map(() => 0)
  const single = { ...attrs, kernel_shape: ones, pads, strides: ones, dilations: ones }
  return Conv.apply([mul(down, scale), b], single)
}

/** Shapes of the two factors of a weight's update. @param use of a weight that is read whole */
function shapesOf(weight: Parameter, use: WeightUse | undefined, rank: number): { a: number[]; b: number[] } {
  const sizes = sizesOf(use ? nth(use.node.inputs, 1).shape : weight.shape)
  if (use?.kind === 'linear') return { a: [rank, nth(sizes, 0)], b: [nth(sizes, 1), rank] }
  const [outputs = 0, ...filter] = sizes
  return { a: [rank, ...filter], b: [outputs, rank, ...filter.slice(1).map(() => 1)] }
}
