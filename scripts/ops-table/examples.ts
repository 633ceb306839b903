import type { DType } from '../../src/graph/dtype.ts'
import { constant } from '../../src/graph/leaf.ts'
import type { AnyTensor } from '../../src/graph/tensor.ts'
import * as ops from '../../src/ops/index.ts'
import * as averages from '../../src/tasks/average.ts'
import * as losses from '../../src/tasks/losses.ts'

/** Makes an input of the dtype that is looked at. */
export type Inputs = (...shape: number[]) => AnyTensor
export type Example = (t: Inputs) => AnyTensor | readonly AnyTensor[]

const i64 = (...shape: number[]): AnyTensor => constant(0, 'int64' satisfies DType, shape)
const unary =
  (f: (x: AnyTensor) => AnyTensor): Example =>
  t =>
    f(t(2, 3))
const binary =
  (f: (a: AnyTensor, b: AnyTensor) => AnyTensor): Example =>
  t =>
    f(t(2, 3), t(3))
const reduction =
  (f: (x: AnyTensor, axes: number) => AnyTensor): Example =>
  t =>
    f(t(2, 3), 1)

/** A call of every public op; what the page says of an op is read off the graph that this makes. */
export const OPS: Readonly<Record<string, Example>> = {
  gelu: unary(x => ops.gelu(x)),
  silu: unary(ops.silu),
  leakyRelu: unary(x => ops.leakyRelu(x)),
  elu: unary(x => ops.elu(x)),
  softplus: unary(ops.softplus),
  softsign: unary(ops.softsign),
  hardswish: unary(ops.hardswish),
  attention: t => ops.attention(t(4, 2), t(3, 2), t(3, 5), { causal: true }),
  batchNormRunning: t => ops.batchNormRunning(t(4, 3, 2, 2), t(3), t(3), t(3), t(3)),
  runningStatistics: t => Object.values(ops.runningStatistics(t(4, 3, 2, 2), t(3), t(3))),
  conv2d: t => ops.conv2d(t(1, 2, 5, 5), t(3, 2, 3, 3), t(3)),
  dropout: unary(x => ops.dropout(x, 0.5)),
  dropPath: unary(x => ops.dropPath(x, 0.5)),
  add: binary(ops.add),
  sub: binary(ops.sub),
  mul: binary(ops.mul),
  div: binary(ops.div),
  pow: binary(ops.pow),
  maximum: binary(ops.maximum),
  minimum: binary(ops.minimum),
  neg: unary(ops.neg),
  abs: unary(ops.abs),
  sign: unary(ops.sign),
  floor: unary(ops.floor),
  exp: unary(ops.exp),
  log: unary(ops.log),
  sqrt: unary(ops.sqrt),
  reciprocal: unary(ops.reciprocal),
  sin: unary(ops.sin),
  cos: unary(ops.cos),
  sigmoid: unary(ops.sigmoid),
  tanh: unary(ops.tanh),
  relu: unary(ops.relu),
  clip: unary(x => ops.clip(x, 0, 6)),
  cast: unary(x => ops.cast(x, x.dtype === 'float32' ? 'float64' : 'float32')),
  equal: binary(ops.equal),
  greater: binary(ops.greater),
  less: binary(ops.less),
  where: t => ops.where(constant(1, 'bool', [2, 1]), t(2, 3), t(3)),
  erf: unary(ops.erf),
  fill: t => ops.fill(1, t().dtype, [2, 3]),
  zerosLike: unary(ops.zerosLike),
  onesLike: unary(ops.onesLike),
  arange: t => ops.arange(3, t().dtype),
  gather: t => ops.gather(t(5, 2), i64(3)),
  gatherElements: t => ops.gatherElements(t(5, 2), i64(3, 2), 0),
  scatterAdd: t => ops.scatterAdd([5, 2], i64(3, 2), t(3, 2), 0),
  argmax: t => ops.argmax(t(2, 3), 1),
  oneHot: t => ops.oneHot(t(2), 3),
  topK: t => ops.topK(t(2, 3), 2),
  reshape: t => ops.reshape(t(2, 3), [3, 2]),
  squeeze: t => ops.squeeze(t(2, 1), 1),
  unsqueeze: t => ops.unsqueeze(t(2), 1),
  transpose: t => ops.transpose(t(2, 3), [1, 0]),
  transposeLast: t => ops.transposeLast(t(2, 3)),
  concat: t => ops.concat([t(2, 3), t(4, 3)], 0),
  split: t => ops.split(t(4, 3), 0, [1, 3]),
  padAxis: t => ops.padAxis(t(2, 3), 1, 1, 2),
  slice: t => ops.slice(t(7, 3), 0, -2, 0, -2),
  select: t => ops.select(t(2, 3), 0, 1),
  expand: t => ops.expand(t(1, 3), [4, 3]),
  pad: t => ops.pad(t(2, 3), [0, 1], [1, 0]),
  matmul: t => ops.matmul(t(2, 3), t(3, 4)),
  linear: t => ops.linear(t(2, 3), t(4, 3), t(4)),
  softmax: unary(x => ops.softmax(x)),
  logSoftmax: unary(x => ops.logSoftmax(x)),
  layerNorm: t => ops.layerNorm(t(2, 3), t(3), t(3)),
  rmsNorm: t => ops.rmsNorm(t(2, 3), t(3)),
  batchNorm: t => ops.batchNorm(t(4, 3, 2, 2), t(3), t(3)),
  groupNorm: t => ops.groupNorm(t(2, 4, 2, 2), 2, t(4), t(4)),
  maxPool2d: t => ops.maxPool2d(t(1, 2, 4, 4), 2),
  avgPool2d: t => ops.avgPool2d(t(1, 2, 4, 4), 2),
  globalMaxPool2d: t => ops.globalMaxPool2d(t(1, 2, 4, 4)),
  globalAvgPool2d: t => ops.globalAvgPool2d(t(1, 2, 4, 4)),
  sum: reduction(ops.sum),
  mean: reduction(ops.mean),
  max: reduction(ops.max),
  min: reduction(ops.min),
  variance: reduction(ops.variance),
  logsumexp: reduction(ops.logsumexp),
  cumsum: t => ops.cumsum(t(2, 3), 1),
  tril: unary(x => ops.tril(x)),
  triu: unary(x => ops.triu(x)),
  whenTraining: t => ops.whenTraining(ops.mul(t(2, 3), 2), t(2, 3)),
  upsample2d: t => ops.upsample2d(t(1, 2, 3, 3), 2),
}

/** Functions among the ops that are parts of others, or no ops. */
export const PARTS: ReadonlySet<string> = new Set([
  'equalShape',
  'grad',
  'hideFuture',
  'layerNormPlain',
  'productMacs',
  'rows',
  'sumTo',
  'vjp',
  'averageOf',
  'perExample',
  'quotient',
])

export const AVERAGES: Readonly<Record<string, Example>> = {
  average: t => averages.average(t(4, 3)),
  ratio: t => averages.ratio(t(4, 3), t(4, 3)),
}

export const LOSSES: Readonly<Record<string, Example>> = {
  crossEntropy: t => losses.crossEntropy(t(4, 3), i64(4)),
  mse: t => losses.mse(t(4, 3), t(4, 3)),
  l1: t => losses.l1(t(4, 3), t(4, 3)),
  huber: t => losses.huber(t(4, 3), t(4, 3)),
  bceWithLogits: t => losses.bceWithLogits(t(4, 3), t(4, 3)),
  l2: unary(x => losses.l2(x)),
}
