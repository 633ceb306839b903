import { UserError } from '../../graph/errors.ts'
import { makeNode } from '../../graph/node.ts'
import { opOf } from '../../graph/op.ts'
import { present } from '../../graph/present.ts'
import { axisOf, type Dim, type Shape, sameShape, show } from '../../graph/shape.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
import { abs, add, div, equal, mul, reciprocal, sqrt, sub, where } from '../../ops/elementwise.ts'
import { onesLike } from '../../ops/fill.ts'
import '../../ops/instance-norm.ts'
import { gather } from '../../ops/gather.ts'
import { expand, fill, reshape } from '../../ops/layout.ts'
import { batchNorm, groupNorm } from '../../ops/norm.ts'
import { mean, sum, variance } from '../../ops/reduce.ts'
import '../../ops/response-norm.ts'
import type { NodeReader } from '../node-reader.ts'
import type { Operator, Operators } from '../operator.ts'
import { positions } from '../positions.ts'
import { argumentsOf } from '../primitive.ts'
import { unsupported } from '../unsupported.ts'
import { checkRank } from './attend.ts'

/** ONNX takes the statistics in this precision; files of half precision are computed in float32 anyway. */
export const anyPrecision = (n: NodeReader): number => n.int('stash_type', 1)

/** A weight that broadcasts to the dims of `x` from `axis` on, as those dims. */
function normWeight(weight: AnyTensor, x: AnyTensor, axis: number): AnyTensor {
  const dims: Shape = x.shape.slice(axis < 0 ? axis + x.shape.length : axis)
  return sameShape(weight.shape, dims) ? weight : expand(weight, dims)
}

/** A layer norm's outputs: y, the mean and 1 / √(variance + ε). */
export function layerNormOf(
  x: AnyTensor,
  weight: AnyTensor,
  bias: AnyTensor | undefined,
  axis: number,
  epsilon: number,
): readonly AnyTensor[] {
  const weights = [weight, ...(bias ? [bias] : [])].map(w => normWeight(w, x, axis))
  const op = present(opOf('LayerNormalization'), 'layer norm')
  return makeNode(op, [x, ...weights], { axis, epsilon }).outputs
}

/**
 * An RMS norm's outputs: y and 1 / √(mean(x²) + ε). In elementary ops, which onnxruntime's optimizer knows in every opset; the
 * operator came with opset 23.
 */
export function rmsNormOf(
  x: AnyTensor,
  weight: AnyTensor,
  axis: number,
  epsilon: number,
): readonly [y: AnyTensor, inverse: AnyTensor] {
  const axes = [...x.shape.keys()].slice(axisOf('rmsNorm', axis, x.shape.length))
  const inverse = reciprocal(sqrt(add(mean(mul(x, x), axes, true), epsilon)))
  return [mul(mul(x, inverse), normWeight(weight, x, axis)), inverse]
}

/** Whether a batch norm takes the statistics of the batch. */
function trains(n: NodeReader): boolean {
  if (n.opset >= 14) return n.flag('training_mode')
  // Until opset 6 an attribute said so, then the outputs.
  if (n.opset < 7) return !n.flag('is_test')
  return n.outputs > 1
}

function batchNormalization(n: NodeReader): AnyTensor | readonly (AnyTensor | undefined)[] {
  if (n.opset < 9 && n.int('spatial', 1) !== 1) unsupported('spatial 0 is not supported, only 1')
  if (n.opset < 7) n.ints('consumed_inputs')
  if (!trains(n)) {
    const op = present(opOf('BatchNormalization'), 'batch norm')
    const { inputs, attrs } = argumentsOf(op, n)
    return makeNode(op, inputs, attrs).outputs
  }
  const [x, weight, bias, mu, v] = [n.data(0), n.data(1), n.data(2), n.data(3), n.data(4)]
  const momentum = n.float('momentum', 0.9)
  const axes = [...x.shape.keys()].filter(i => i !== 1)
  const mixed = (old: AnyTensor, now: AnyTensor) => add(mul(old, momentum), mul(now, 1 - momentum))
  return [
    batchNorm(x, weight, bias, n.float('epsilon', 1e-5)),
    mixed(mu, mean(x, axes)),
    mixed(v, variance(x, axes)),
  ]
}

/** Layer norm over groups of channels; until opset 20 each group had one scale and bias. */
function groupNormalization(n: NodeReader): AnyTensor {
  anyPrecision(n)
  const x = n.data(0)
  if (x.shape.length < 2) throw new UserError(`takes [n, channels, ...], not ${show(x.shape)}`)
  const groups = n.int('num_groups', 1)
  const channels: Dim = x.shape[1]
  const each = (w: AnyTensor): AnyTensor => {
    if (n.opset >= 21 || sameShape(w.shape, [channels])) return w
    if (typeof channels !== 'number' || channels < 0)
      return unsupported('a number of channels that is not known is not supported')
    if (!(groups >= 1) || channels % groups)
      throw new UserError(`${channels} channels of ${show(x.shape)} do not split into ${groups} groups`)
    return reshape(expand(reshape(w, [groups, 1]), [groups, channels / groups]), [channels])
  }
  return groupNorm(x, groups, each(n.data(1)), each(n.data(2)), n.float('epsilon', 1e-5))
}

/** x over its norm, and 0 where that is 0. */
function lpNormalization(n: NodeReader): AnyTensor {
  const [x, axis, p] = [n.data(0), n.int('axis', -1), n.int('p', 2)]
  if (p !== 1 && p !== 2) unsupported(`p ${p} is not supported, only 1 and 2`)
  const total = sum(p === 1 ? abs(x) : mul(x, x), axis, true)
  // A root of 0 has no gradient; a norm of 1 leaves the zeros as they are.
  const size = where(equal(total, 0), onesLike(total), total)
  return div(x, p === 1 ? size : sqrt(size))
}

/** Keeps a norm from dividing by 0: ONNX's constant. */
const LEAST_DEVIATION = 1e-9

function meanVarianceNormalization(n: NodeReader): AnyTensor {
  const [x, axes] = [n.data(0), n.ints('axes') ?? [0, 2, 3]]
  const centred = sub(x, mean(x, axes, true))
  return div(centred, add(sqrt(mean(mul(centred, centred), axes, true)), LEAST_DEVIATION))
}

const simplified: Operator = n => {
  anyPrecision(n)
  return rmsNormOf(n.data(0), n.data(1), n.int('axis', -1), n.float('epsilon', 1e-5))
}

/** Norms of batches, layers, channels and vectors. */
export const NORMS: Operators = {
  BatchNormalization: batchNormalization,
  GroupNormalization: groupNormalization,
  LayerNormalization(n) {
    anyPrecision(n)
    return layerNormOf(n.data(0), n.data(1), n.optional(2), n.int('axis', -1), n.float('epsilon', 1e-5))
  },
  RMSNormalization: simplified,
  // onnxruntime's optimizer writes it without a domain of its own.
  SimplifiedLayerNormalization: simplified,
  LpNormalization: lpNormalization,
  MeanVarianceNormalization: meanVarianceNormalization,
}

/** With the residual connection before them: the sum is the last output. */
export const MICROSOFT_NORMS: Operators = {
  SkipLayerNormalization(n) {
    const x = skipped(n, n.optional(4))
    const [y, mu, r] = layerNormOf(x, n.data(2), n.optional(3), -1, n.float('epsilon', 1e-12))
    return [y, mu, r, x]
  },
  SkipSimplifiedLayerNormalization(n) {
    const x = skipped(n, n.optional(3))
    const [y, inverse] = rmsNormOf(x, n.data(2), -1, n.float('epsilon', 1e-12))
    return [y, undefined, inverse, x]
  },
  EmbedLayerNormalization: embedLayerNormalization,
}

function skipped(n: NodeReader, bias: AnyTensor | undefined): AnyTensor {
  const x = add(n.data(0), n.data(1))
  return bias ? add(x, bias) : x
}

/** The sum of the embeddings of words, places and (optional) segments, under a layer norm; and how long each row is. */
function embedLayerNormalization(n: NodeReader): readonly AnyTensor[] {
  const ids = n.data(0)
  checkRank('ids', ids, 2)
  const [batch, length]: [Dim, Dim] = ids.shape
  const [segments, table] = [n.optional(1), n.optional(4)]
  const places = n.optional(8) ?? positions(length)
  const words = add(gather(n.data(2), ids), gather(n.data(3), places))
  const embedded = segments && table ? add(words, gather(table, segments)) : words
  const [y] = layerNormOf(embedded, n.data(5), n.data(6), -1, n.float('epsilon', 1e-12))
  const mask = n.optional(7)
  n.int('mask_index_type', 0)
  const lengths = mask ? sum(mask, 1) : fill(0, 'int32', [batch])
  return [present(y, 'layer norm'), lengths, embedded]
}
