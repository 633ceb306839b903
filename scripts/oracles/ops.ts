import { input } from '../../src/graph/leaf.ts'
import { lookup, nth, present } from '../../src/graph/present.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import * as ops from '../../src/ops/index.ts'
import { evaluate } from '../../src/runtime/evaluate.ts'
import { bceWithLogits, crossEntropy, mse } from '../../src/tasks/losses.ts'
import { type Attrs, type Check, type Comparison, given, relativeError, withPrefix } from './case.ts'

/** Largest relative error of a float64 tensor, outputs and input gradients alike. */
export const LIMIT = 1e-9

/** The inputs of an op; files name them alike. All but `b` are there where the op of an entry reads them. */
type Inputs = Readonly<Record<Exclude<InputName, 'b'>, AnyTensor> & { b?: AnyTensor }>
type InputName =
  | 'a'
  | 'b'
  | 'condition'
  | 'index'
  | 'input'
  | 'k'
  | 'logits'
  | 'other'
  | 'q'
  | 'table'
  | 'target'
  | 'v'
  | 'w'
  | 'x'
type Build = (x: Inputs, attrs: Attrs) => AnyTensor | readonly AnyTensor[]

const unary =
  (f: (a: AnyTensor) => AnyTensor): Build =>
  ({ a }) =>
    f(a)
const binary =
  (f: (a: AnyTensor, b: AnyTensor) => AnyTensor): Build =>
  ({ a, b }) =>
    f(a, present(b, 'b'))
const reduction =
  (f: (a: AnyTensor, axes?: readonly number[], keepdims?: boolean) => AnyTensor): Build =>
  ({ a }, { axes, keepdims }) =>
    f(a, axes, keepdims)

/** How each op of the files is written with onnxgrad; an attribute that an entry does not read is not supported. */
const BUILD: Readonly<Record<string, Build>> = {
  add: binary(ops.add),
  sub: binary(ops.sub),
  mul: binary(ops.mul),
  div: binary(ops.div),
  pow: ({ a, b }, { exponent }) => ops.pow(a, b ?? present(exponent, 'exponent')),
  maximum: x => ops.maximum(x.input, x.other),
  minimum: x => ops.minimum(x.input, x.other),
  where: x => ops.where(x.condition, x.a, present(x.b, 'b')),

  neg: unary(ops.neg),
  abs: unary(ops.abs),
  exp: unary(ops.exp),
  log: unary(ops.log),
  sqrt: unary(ops.sqrt),
  reciprocal: unary(ops.reciprocal),
  sin: unary(ops.sin),
  cos: unary(ops.cos),
  tanh: unary(ops.tanh),
  erf: unary(ops.erf),
  sigmoid: unary(ops.sigmoid),
  relu: unary(ops.relu),
  silu: unary(ops.silu),
  softplus: unary(ops.softplus),
  softsign: unary(ops.softsign),
  hardswish: unary(ops.hardswish),
  elu: ({ a }, { alpha }) => ops.elu(a, alpha),
  leaky_relu: ({ a }, { alpha }) => ops.leakyRelu(a, alpha),
  gelu: ({ a }, { approximate }) => ops.gelu(a, approximate),
  clip: ({ a }, { min, max }) => ops.clip(a, present(min, 'min'), present(max, 'max')),

  matmul: binary(ops.matmul),
  linear: ({ x, w, b }) => ops.linear(x, w, b),
  attention: ({ q, k, v }, { causal }) => ops.attention(q, k, v, causal ? { causal } : {}),

  conv2d: ({ x, w, b }, { stride = 1, padding = 0, dilation = 1, groups = 1 }) =>
    ops.conv2d(x, w, b, { stride, padding, dilation, groups }),
  max_pool2d: ({ x }, { kernel, stride = present(kernel, 'kernel'), padding = 0 }) =>
    ops.maxPool2d(x, present(kernel, 'kernel'), { stride, padding }),
  avg_pool2d: ({ x }, { kernel, stride = present(kernel, 'kernel'), padding = 0 }) =>
    ops.avgPool2d(x, present(kernel, 'kernel'), { stride, padding }),

  softmax: ({ a }, { axis }) => ops.softmax(a, axis),
  log_softmax: ({ a }, { axis }) => ops.logSoftmax(a, axis),
  layer_norm: ({ x, w, b }, { eps, normalized_shape: shape }) => {
    if (shape?.join() !== w.shape.join()) throw new Error(`weight [${w.shape}] is not of [${shape}]`)
    return ops.layerNorm(x, w, present(b, 'b'), eps)
  },
  rms_norm: ({ x, w }, { eps }) => ops.rmsNorm(x, w, eps),
  group_norm: ({ x, w, b }, { groups, eps }) =>
    ops.groupNorm(x, present(groups, 'groups'), w, present(b, 'b'), eps),
  batch_norm: ({ x, w, b }, attrs) => (attrs.training ? ops.batchNorm(x, w, present(b, 'b'), attrs.eps) : []),
  cross_entropy: (
    { logits, target },
    { label_smoothing: labelSmoothing, ignore_index: ignoreIndex, target: kind },
  ) =>
    kind === undefined || kind === 'probabilities'
      ? crossEntropy(logits, target, given({ labelSmoothing, ignoreIndex }))
      : [],
  mse_loss: ({ input, target }) => mse(input, target),
  bce_with_logits: ({ input, target }) => bceWithLogits(input, target),

  reshape: ({ a }, { shape }) => ops.reshape(a, present(shape, 'shape')),
  transpose: ({ a }, { perm }) => ops.transpose(a, present(perm, 'perm')),
  concat: (x, { axis }) => ops.concat(Object.values(x), present(axis, 'axis')),
  split: ({ a }, { axis, sizes }) => ops.split(a, present(axis, 'axis'), present(sizes, 'sizes')),
  slice: ({ a }, { axes, starts, ends, steps }) =>
    present(axes, 'axes').reduce(
      (x, axis, i) =>
        ops.slice(
          x,
          axis,
          nth(present(starts, 'starts'), i),
          nth(present(ends, 'ends'), i),
          [steps ?? 1].flat()[i],
        ),
      a,
    ),
  expand: ({ a }, { shape }) => ops.expand(a, present(shape, 'shape')),
  pad: ({ a }, { pads_last_dims_first: pads }) => {
    // PyTorch's order: before and after of the last axis, then of the one before it, …
    const side = (which: 0 | 1) =>
      a.shape.map((_: unknown, i: number) => present(pads, 'pads')[2 * (a.shape.length - 1 - i) + which] ?? 0)
    return ops.pad(a, side(0), side(1))
  },
  gather: ({ table, index }, { axis }) => ops.gather(table, index, axis),
  gather_elements: ({ a, index }, { axis }) => ops.gatherElements(a, index, present(axis, 'axis')),
  tril: unary(a => ops.tril(a)),
  cumsum: ({ a }, { axis }) => ops.cumsum(a, present(axis, 'axis')),

  reduce_sum: reduction(ops.sum),
  reduce_mean: reduction(ops.mean),
  reduce_var: reduction(ops.variance),
  reduce_max: reduction(ops.max),
  reduce_min: reduction(ops.min),
  logsumexp: reduction(ops.logsumexp),
}

/** Outputs of one op and, from the upstream gradients of the file, the gradient of each differentiable input. */
export const checkOp: Check = async ({ tensors, metadata, attrs, unread }, runtime) => {
  const build = BUILD[metadata.op ?? '']
  if (!build) return { skipped: `op ${metadata.op} is not implemented` }
  const inputs = Object.fromEntries(
    withPrefix(tensors, 'in.').map(([name, t]) => [name, input(`in.${name}`, t.dtype, t.shape)]),
  )
  const outs: readonly AnyTensor[] = [build(inputs as Inputs, attrs)].flat()
  if (!outs.length || unread().length)
    return { skipped: `${metadata.op} with ${metadata.attrs} is not implemented` }

  const upstream = outs.map((t, i) => ops.mul(t, input(`gy.${i}`, t.dtype, lookup(tensors, `gy.${i}`).shape)))
  const total = upstream.map(t => ops.sum(t)).reduce((a, b) => ops.add(a, b))
  const wrt = withPrefix(tensors, 'gin.').map(([name]) => name)
  const gradients = ops.grad(
    total,
    wrt.map(name => lookup(inputs, name)),
  )
  const results = Object.fromEntries([
    ...outs.map((t, i) => [`out.${i}`, t] as const),
    ...wrt.map((name, i) => [`gin.${name}`, nth(gradients, i)] as const),
  ])
  const feeds = Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => /^(in|gy)\./.test(name))
      .map(([name, t]) => [name, t.data]),
  )
  const got = await evaluate(runtime, results, feeds)
  const references = Object.keys(tensors).filter(name => /^(out|gin)\./.test(name))
  return {
    comparisons: references.map((what): Comparison => {
      const { dims, data } = got[what] ?? { dims: undefined, data: [] }
      const sameShape = dims?.join() === lookup(tensors, what).shape.join()
      const error = sameShape ? relativeError(data, lookup(tensors, what).data) : Number.POSITIVE_INFINITY
      return { what, error, limit: LIMIT }
    }),
  }
}
