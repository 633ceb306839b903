import type { DType } from '../../graph/dtype.ts'
import { sizeOf } from '../../graph/leaf.ts'
import { nth } from '../../graph/present.ts'
import * as shapes from '../../graph/shape.ts'
import type { AnyTensor } from '../../graph/tensor.ts'
// Loaded for what the module declares: reductions that are an op themselves.
import '../../ops/reductions.ts'
import { cast, sub } from '../../ops/elementwise.ts'
import { reshape, slice } from '../../ops/layout.ts'
import { logSoftmax, softmax } from '../../ops/norm.ts'
import { applied } from '../applied.ts'
import type { NodeReader } from '../node-reader.ts'
import type { Operators } from '../operator.ts'
import { widened } from './elementwise.ts'

/** onnxruntime has no kernels of these. */
const NARROW: readonly DType[] = ['int8', 'uint8', 'int16', 'uint16', 'uint32', 'uint64']
const NO_EXTREME: readonly DType[] = ['int16', 'uint16', 'uint32']

/** A reduction over axes that are an attribute or, in newer opsets, a constant input. */
const reduction = (type: string, without: readonly DType[]) => (n: NodeReader) => {
  const x = n.data(0)
  const given = n.ints('axes', 1)
  const keepdims = n.flag('keepdims', true)
  const noop = n.flag('noop_with_empty_axes')
  const all = given?.length ? given : noop ? [] : undefined
  const axes = shapes.axesOf(type, all, x.shape.length)
  return widened([x], without, ([x]) => reduced(type, x, axes, keepdims))
}

/** Without axes each element is reduced by itself: to its size, its square and so on. */
function reduced(type: string, x: AnyTensor, axes: readonly number[], keepdims: boolean): AnyTensor {
  if (axes.length) return applied(type, [x], { axes, keepdims })
  if (KEEPING.has(type)) return x
  return applied(type, [reshape(x, [...x.shape, 1])], { axes: [x.shape.length], keepdims: false })
}

/** Reductions that are the identity on one element. */
const KEEPING: ReadonlySet<string> = new Set([
  'ReduceSum',
  'ReduceMean',
  'ReduceMax',
  'ReduceMin',
  'ReduceProd',
])

/** The place of an extreme; the last one by the same from behind. */
const place = (type: string) => (n: NodeReader) => {
  const x = n.data(0)
  const axis = shapes.axisOf(type, n.int('axis', 0), x.shape.length)
  const keepdims = n.flag('keepdims', true)
  const last = n.flag('select_last_index')
  const from = (x: AnyTensor) => applied(type, [x], { axis, keepdims })
  const narrow: readonly DType[] = ['int16', 'uint16', 'uint32']
  const found = (x: AnyTensor) => (narrow.includes(x.dtype) ? from(cast(x, 'int64')) : from(x))
  if (!last) return found(x)
  const behind: AnyTensor = found(slice(x, axis, -1, Number.MIN_SAFE_INTEGER, -1))
  const size: AnyTensor = sizeOf(nth(x.shape, axis), 'int64')
  return sub(sub(size, 1), behind)
}

/** An operator along one axis; until opset 12 the dims from `axis` on were one. */
const along = (f: (x: AnyTensor, axis: number) => AnyTensor) => (n: NodeReader) => {
  const x = n.data(0)
  if (n.opset >= 13) return f(x, n.int('axis', -1))
  const axis = shapes.axisOf(n.type, n.int('axis', 1), x.shape.length)
  if (axis === x.shape.length - 1) return f(x, -1)
  const rows = reshape(x, [shapes.product(x.shape.slice(0, axis)), shapes.product(x.shape.slice(axis))])
  return reshape(f(rows, -1), x.shape)
}

/** Operators that mix an axis. */
export const REDUCTIONS: Operators = {
  ReduceSum: reduction('ReduceSum', NARROW),
  ReduceMean: reduction('ReduceMean', NARROW),
  ReduceProd: reduction('ReduceProd', NARROW),
  ReduceMax: reduction('ReduceMax', NO_EXTREME),
  ReduceMin: reduction('ReduceMin', NO_EXTREME),
  ReduceL1: reduction('ReduceL1', NARROW),
  ReduceL2: reduction('ReduceL2', NARROW),
  ReduceSumSquare: reduction('ReduceSumSquare', NARROW),
  ReduceLogSum: reduction('ReduceLogSum', NARROW),
  ReduceLogSumExp: reduction('ReduceLogSumExp', NARROW),
  ArgMax: place('ArgMax'),
  ArgMin: place('ArgMin'),
  Softmax: along(softmax),
  LogSoftmax: along(logSoftmax),
  Hardmax: along((x, axis) => applied('Hardmax', [x], { axis })),
}
