import { attr, type OnnxNode, type TensorType } from '../graph/attributes.ts'
import { FLOATS } from '../graph/dtype.ts'
import { ShapeError, UserError } from '../graph/errors.ts'
import { one } from '../graph/example.ts'
import { channels, channelsPerGroup } from '../graph/images.ts'
import { filledWith } from '../graph/leaf.ts'
import { op, sameDType } from '../graph/op.ts'
import { f32, sample } from '../graph/sample.ts'
import * as shapes from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import type { BatchNormFn, GroupNormFn } from '../graph/typed/image-signatures.ts'
import { type LayerNormFn, type RmsNormFn, type SoftmaxFn, typed } from '../graph/typed/signatures.ts'
import { add, div, exp, log, mul, reciprocal, sqrt, sub } from './elementwise.ts'
import { reshape } from './layout.ts'
import { max, mean, sum, variance } from './reduce.ts'

/** The axis that runs along, of ops that mix one axis. */
const others = (axis: number, [x]: readonly [TensorType], attrs: { axis: number }) =>
  axis === shapes.axisOf('softmax', attrs.axis, x.shape.length) ? undefined : [axis]

const axisForm = { axis: attr.int({ default: ({ opset }) => (opset < 13 ? 1 : -1) }) }

/** Until opset 12 the dims from `axis` on were one. */
function lastAxis({ opset, attrs: { axis = 1 }, inputs: [x] }: OnnxNode): void {
  if (opset < 13 && axis !== -1 && x && axis !== x.shape.length - 1)
    throw new UserError(`axis ${axis} of ${shapes.show(x.shape)} in opset ${opset} is not supported`)
}

/** The type rule of ops that keep dtype and shape and mix one axis. @param name of the public function */
const alongAxis =
  (name: string) =>
  ([x]: readonly [TensorType], { axis }: { axis: number }): readonly [TensorType] => {
    sameDType(name, [x], FLOATS)
    shapes.axisOf(name, axis, x.shape.length)
    return [x]
  }

const Softmax = op('Softmax', {
  inputs: ['input'],
  outputs: ['output'],
  attrs: axisForm,
  check: lastAxis,
  infer: alongAxis('softmax'),
  along: others,
  // y = softmax(x): dx = y (dy − Σ y dy)
  vjp: ({ y: [y], dy, attrs: { axis } }) => [mul(sub(dy, sum(mul(dy, y), axis, true)), y)],
  samples: [sample(f32(2, 3, 9), { axis: -1 }), sample(f32(2, 5, 4), { axis: 1 })],
})
/** exp(x) / Σ exp(x) along `axis`. */
export const softmax: SoftmaxFn<'softmax'> = typed(
  (x: AnyTensor, axis = -1): AnyTensor => Softmax.apply([x], { axis }),
  one,
)

const LogSoftmax = op('LogSoftmax', {
  inputs: ['input'],
  outputs: ['output'],
  attrs: axisForm,
  check: lastAxis,
  infer: alongAxis('logSoftmax'),
  along: others,
  // y = x − ln Σ exp(x): dx = dy − exp(y) Σ dy
  vjp: ({ y: [y], dy, attrs: { axis } }) => [sub(dy, mul(exp(y), sum(dy, axis, true)))],
  decompose: ([x], { axis }) => {
    const shifted = sub(x, max(x, axis, true))
    return [sub(shifted, log(sum(exp(shifted), axis, true)))]
  },
  samples: [sample(f32(4, 9), { axis: -1 })],
})
/** ln softmax(x) along `axis`, computed without overflow. */
export const logSoftmax: SoftmaxFn<'logSoftmax'> = typed(
  (x: AnyTensor, axis = -1): AnyTensor => LogSoftmax.apply([x], { axis }),
  one,
)

const LayerNormalization = op('LayerNormalization', {
  since: 17,
  inputs: ['X', 'Scale', 'B?'],
  outputs: ['Y', 'Mean', 'InvStdDev'],
  attrs: { axis: attr.int({ default: -1 }), epsilon: attr.float({ default: 1e-5 }) },
  neutral: { stash_type: 1 },
  infer: ([x, scale, bias], { axis }) => {
    sameDType('layerNorm', [x, scale, bias], FLOATS)
    shapes.layerNorm('layerNorm', x.shape, scale.shape, bias?.shape)
    const at = shapes.axisOf('layerNorm', axis, x.shape.length)
    if (at !== x.shape.length - scale.shape.length)
      throw new ShapeError(`layerNorm: weight ${shapes.show(scale.shape)} does not start at axis ${axis}`)
    const statistics = x.shape.map((d, i) => (i < at ? d : 1))
    return [x, { dtype: x.dtype, shape: statistics }, { dtype: x.dtype, shape: statistics }]
  },
  along: (axis, [x, ...rest], attrs) =>
    axis < shapes.axisOf('layerNorm', attrs.axis, x.shape.length)
      ? [axis, ...rest.map(() => null)]
      : undefined,
  // x̂ = (x − μ) r, r = 1/√(σ² + ε): dx = r (c − x̂ mean(c x̂)) with dx̂ = γ dy and c = dx̂ − mean dx̂;
  // the outputs μ and r add dμ/n and −r² x̂ dr/n.
  vjp: ({ x: [x, scale, bias], y: [y, mu, r], dy, dys: [, dMu, dR], attrs: { axis } }) => {
    const rank = x.shape.length
    const at = shapes.axisOf('layerNorm', axis, rank)
    const axes = Array.from({ length: rank - at }, (_, i) => at + i)
    const n = shapes.product(x.shape.slice(at)) as number
    const plain = !bias && filledWith(scale) === 1
    const xhat = plain ? y : mul(sub(x, mu), r)
    const dxhat = plain ? dy : mul(dy, scale)
    const centred = sub(dxhat, mean(dxhat, axes, true))
    let dx = mul(sub(centred, mul(xhat, mean(mul(centred, xhat), axes, true))), r)
    if (dMu) dx = add(dx, div(dMu, n))
    if (dR) dx = sub(dx, mul(xhat, div(mul(dR, mul(r, r)), n)))
    return bias ? [dx, mul(dy, xhat), dy] : [dx, mul(dy, xhat)]
  },
  samples: [
    sample(f32(3, 5, 8), f32(8), f32(8), { axis: -1, epsilon: 1e-5 }),
    sample(f32(3, 4, 8), f32(4, 8), f32(4, 8), { axis: -2, epsilon: 1e-5 }),
    sample(f32(3, 8), f32(8), { axis: -1, epsilon: 1e-2 }),
  ],
  decompose: ([x, scale, bias], { axis, epsilon }) => {
    const rank = x.shape.length
    const at = shapes.axisOf('layerNorm', axis, rank)
    const axes = Array.from({ length: rank - at }, (_, i) => at + i)
    const mu = mean(x, axes, true)
    const r = reciprocal(sqrt(add(variance(x, axes, true), epsilon)))
    const y = mul(mul(sub(x, mu), r), scale)
    return [bias ? add(y, bias) : y, mu, r]
  },
})
/**
 * (x − mean) / √(variance + eps) · weight + bias over the trailing dims that `weight` has (Ba, Kiros & Hinton 2016).
 * @param eps added to the variance; 1e-5 as in PyTorch (timm's ViT uses 1e-6)
 */
export const layerNorm: LayerNormFn = typed(
  (x: AnyTensor, weight: AnyTensor, bias: AnyTensor, eps = 1e-5): AnyTensor =>
    LayerNormalization.apply([x, weight, bias], { axis: -weight.shape.length, epsilon: eps }),
  t => [t(2, 3), t(3), t(3)],
)

/**
 * x / √(mean(x²) + eps) · weight over the last dim (Zhang & Sennrich 2019).
 * @param weight `[d]` @throws ShapeError when it does not fit the last dim
 */
export const rmsNorm: RmsNormFn = typed(
  (x: AnyTensor, weight: AnyTensor, eps = 1e-6) => {
    shapes.rmsNorm('rmsNorm', x.shape, weight.shape)
    return mul(mul(x, reciprocal(sqrt(add(mean(mul(x, x), -1, true), eps)))), weight)
  },
  t => [t(2, 3), t(3)],
)

/** A weight and a bias `[c]` for the channels of `[n, c, ...]`. */
const perChannel = (x: AnyTensor, weight: AnyTensor, bias: AnyTensor): AnyTensor => {
  const shape = [weight.shape[0], ...x.shape.slice(2).map(() => 1)]
  return add(mul(x, reshape(weight, shape)), reshape(bias, shape))
}

const standardize = (x: AnyTensor, axes: readonly number[], eps: number): AnyTensor =>
  div(sub(x, mean(x, axes, true)), sqrt(add(variance(x, axes, true), eps)))

/** Batch norm with the statistics of the batch itself, as in training (Ioffe & Szegedy 2015). @param x `[n, c, ...]` */
export const batchNorm: BatchNormFn = typed(
  (x: AnyTensor, weight: AnyTensor, bias: AnyTensor, eps = 1e-5): AnyTensor => {
    channels('batchNorm', x.shape, { weight: weight.shape, bias: bias.shape })
    const axes = [...x.shape.keys()].filter(i => i !== 1)
    return perChannel(standardize(x, axes, eps), weight, bias)
  },
  t => [t(4, 3, 2, 2), t(3), t(3)],
)

/** Layer norm over each of `groups` equal groups of channels (Wu & He 2018). @param x `[n, c, ...]` */
export const groupNorm: GroupNormFn = typed(
  (x: AnyTensor, groups: number, weight: AnyTensor, bias: AnyTensor, eps = 1e-5): AnyTensor => {
    const size = channelsPerGroup('groupNorm', x.shape, groups)
    channels('groupNorm', x.shape, { weight: weight.shape, bias: bias.shape })
    const [n, , ...rest] = x.shape
    const grouped = reshape(x, [n, groups, shapes.product([...rest, size])])
    return perChannel(reshape(standardize(grouped, [2], eps), x.shape), weight, bias)
  },
  t => [t(2, 4, 2, 2), 2, t(4), t(4)],
)

/** Primitives that passes look for. `ops` has functions alone: `export *` leaves this out. */
export default { LayerNormalization, LogSoftmax, Softmax }
