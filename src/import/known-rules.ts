import { DATA_TYPE, readTensor } from '../export/tensor-data.ts'
import { sizeOfDims } from '../graph/array.ts'
import { isConcrete } from '../graph/bind.ts'
import type { DType } from '../graph/dtype.ts'
import { ShapeError } from '../graph/errors.ts'
import { exact, type Int64 } from '../graph/int64.ts'
import { nth } from '../graph/present.ts'
import * as shapes from '../graph/shape.ts'
import { product, type Shape, sliceRange, UNKNOWN } from '../graph/shape.ts'
import type { NodeReader } from './node-reader.ts'
import { APPLYING, applied, COMBINING, COMPARING, combined, compared, isNumber } from './sizes.ts'
import { importedType } from './tensor.ts'
import { type Element, type Known, MOST, type Value } from './value.ts'

/** What a node computes of values whose elements are known. */

export const list = (values: readonly Element[], dtype: DType = 'int64'): Known => ({
  dtype,
  shape: [values.length],
  values,
})

const shapeOf = ({ known, tensor }: Value): Shape => known?.shape ?? tensor().shape
const elements = (shape: Shape): Element[] => shape.map(d => (d === UNKNOWN ? undefined : d))

export const SHAPE_RULES: Readonly<Record<string, (node: NodeReader) => Known>> = {
  Shape(node) {
    const [start = 0, end] = [node.attribute('start', 'int64'), node.attribute('end', 'int64')]
    const dims = elements(shapeOf(node.value(0)))
    return list(dims.slice(Number(start), end === undefined ? end : Number(end)))
  },
  Size(node) {
    const values = elements([product(shapeOf(node.value(0)))])
    return { dtype: 'int64', shape: [], values }
  },
}

type Inputs = readonly [Known, ...(Known | undefined)[]]
type Rule = (inputs: Inputs, node: NodeReader) => Known | readonly Known[] | undefined

/** Distance between neighbours of each axis. */
const strides = (shape: readonly number[]): number[] => shape.map((_, i) => sizeOfDims(shape.slice(i + 1)))

/** Indices of the elements of a shape, in row-major order. */
function indices(shape: readonly number[]): number[][] {
  const steps = strides(shape)
  const size = sizeOfDims(shape)
  return Array.from({ length: size }, (_, i) => shape.map((n, a) => Math.floor(i / nth(steps, a)) % n))
}

/** A value of `shape` whose elements are those of `x` at other places. */
function picked(
  x: Known,
  shape: readonly number[],
  from: (index: readonly number[]) => readonly number[],
): Known | undefined {
  if (sizeOfDims(shape) > MOST) return undefined
  const steps = strides(x.shape)
  const at = (index: readonly number[]) => from(index).reduce((n, j, a) => n + j * nth(steps, a), 0)
  return { ...x, shape, values: indices(shape).map(index => x.values[at(index)]) }
}

/** The same elements under another shape. */
const reshaped = (x: Known, shape: Shape): Known | undefined =>
  isConcrete(shape) && sizeOfDims(shape) === x.values.length ? { ...x, shape } : undefined

/** A known value repeated up to a shape that it broadcasts to. */
const expanded = (x: Known, shape: readonly number[]): Known | undefined =>
  shapes.equalShape(x.shape, shape)
    ? x
    : picked(x, shape, index =>
        x.shape.map((n, a) => (n === 1 ? 0 : nth(index, a + index.length - x.shape.length))),
      )

/** Element by element with broadcasting. */
function zipped(
  inputs: readonly Known[],
  dtype: DType,
  f: (...values: Element[]) => Element,
): Known | undefined {
  const shape = inputs.reduce<Shape>((s, k) => shapes.broadcast('broadcast', s, k.shape), [])
  if (!isConcrete(shape) || sizeOfDims(shape) > MOST) return undefined
  const all = inputs.map(k => expanded(k, shape)?.values ?? [])
  const values = Array.from({ length: sizeOfDims(shape) }, (_, i) => f(...all.map(v => v[i])))
  return { dtype, shape, values }
}

const complete = (inputs: Inputs): readonly Known[] | undefined =>
  inputs.every(k => k !== undefined) ? inputs : undefined

/** Integers of a value that must all be known. */
const numbersOf = (k: Known | undefined): number[] | undefined =>
  k?.values.every((v): v is number => typeof v === 'number') ? [...k.values] : undefined

const axisOf = (node: NodeReader, rank: number, fallback = 0): number =>
  shapes.axisOf(node.type, node.int('axis', fallback), rank)

/** Integers that a dtype holds without loss. */
const RANGE: Readonly<Partial<Record<DType, readonly [least: Int64, most: Int64]>>> = {
  bool: [0, 1],
  int8: [-(2 ** 7), 2 ** 7 - 1],
  uint8: [0, 2 ** 8 - 1],
  int16: [-(2 ** 15), 2 ** 15 - 1],
  uint16: [0, 2 ** 16 - 1],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0, 2n ** 64n - 1n],
  float32: [-(2 ** 24), 2 ** 24],
  float64: [-(2 ** 53), 2 ** 53],
}

/** An element as another dtype. A size that has a name stays what it is. */
function cast(v: Element, from: DType, to: DType): Element {
  if (!isNumber(v)) return to === 'bool' ? undefined : v
  if (to === 'bool') return Number(v !== 0 && v !== 0n)
  const [least, most] = RANGE[to] ?? []
  if (to.startsWith('float')) {
    if (from.startsWith('float'))
      return to === 'float32' ? Math.fround(Number(v)) : to === 'float64' ? v : undefined
    return least !== undefined && most !== undefined && v >= least && v <= most ? v : undefined
  }
  if (typeof v === 'number' && !Number.isFinite(v)) return undefined
  const whole = typeof v === 'number' ? Math.trunc(v) + 0 : v
  return least === undefined || most === undefined || (whole >= least && whole <= most) ? whole : undefined
}

const reduction =
  (f: (values: readonly Element[], dtype: DType) => Element): Rule =>
  ([x], node) => {
    const given = node.ints('axes', 1)
    const keepdims = node.flag('keepdims', true)
    if (!given?.length && node.flag('noop_with_empty_axes')) return x
    const axes = shapes.axesOf(node.type, given?.length ? given : undefined, x.shape.length)
    const kept = x.shape.map((n, i) => (axes.includes(i) ? 1 : n))
    const groups = new Map<string, Element[]>(indices(kept).map(index => [index.join(), []]))
    indices(x.shape).forEach((index, i) => {
      groups.get(index.map((j, a) => (axes.includes(a) ? 0 : j)).join())?.push(x.values[i])
    })
    const values = [...groups.values()].map(group => f(group, x.dtype))
    return { ...x, shape: keepdims ? kept : kept.filter((_, i) => !axes.includes(i)), values }
  }

const folded = (op: string, start?: number): Rule =>
  reduction((values, dtype) => {
    const [first, ...rest] = values
    if (!values.length) return start
    return rest.reduce<Element>((a, b) => combined(op, dtype, a, b), first)
  })

const logical =
  (f: (a: number, b: number) => boolean): Rule =>
  inputs => {
    const all = complete(inputs)
    return (
      all &&
      zipped(all, 'bool', (a, b) =>
        typeof a === 'number' && typeof b === 'number' ? Number(f(a, b)) : undefined,
      )
    )
  }

/** A shape rule on a known value; what does not fit is left to the operator, whose message names the node. */
const guarded =
  (rule: Rule): Rule =>
  (inputs, node) => {
    try {
      return rule(inputs, node)
    } catch (error) {
      if (error instanceof ShapeError) return undefined
      throw error
    }
  }

const ALL: Readonly<Record<string, Rule>> = {
  Gather([x, index], node) {
    const at = numbersOf(index)
    const axis = axisOf(node, x.shape.length)
    const n = x.shape[axis]
    if (!at || !index || n === undefined || !at.every(i => Number.isInteger(i) && i >= -n && i < n))
      return undefined
    const shape = [...x.shape.slice(0, axis), ...index.shape, ...x.shape.slice(axis + 1)]
    const steps = strides(index.shape)
    const rank = index.shape.length
    return picked(x, shape, place => {
      const which = place.slice(axis, axis + rank).reduce((s, j, a) => s + j * nth(steps, a), 0)
      const found = nth(at, which)
      return [...place.slice(0, axis), found < 0 ? found + n : found, ...place.slice(axis + rank)]
    })
  },
  Concat(inputs, node) {
    const all = complete(inputs)
    const axis = axisOf(node, inputs[0].shape.length)
    if (!all) return undefined
    const shape = shapes.concat(
      'concat',
      all.map(k => k.shape),
      axis,
    )
    if (!isConcrete(shape) || sizeOfDims(shape) > MOST) return undefined
    const inner = sizeOfDims(shape.slice(axis + 1))
    const outer = sizeOfDims(shape.slice(0, axis))
    const pieces = Array.from({ length: outer }, (_, o) =>
      all.flatMap(k => {
        const size = nth(k.shape, axis) * inner
        return k.values.slice(o * size, (o + 1) * size)
      }),
    )
    return { ...inputs[0], shape, values: pieces.flat() }
  },
  Slice([x], node) {
    const [starts, ends] = [node.ints('starts', 1, true), node.ints('ends', 2, true)]
    const axes = node.ints('axes', 3) ?? starts?.map((_, i) => i)
    const steps = node.ints('steps', 4, true) ?? starts?.map(() => 1)
    if (!starts || !ends || !axes || !steps) return undefined
    let result: Known | undefined = x
    for (const [i, given] of axes.entries()) {
      if (!result) return undefined
      const from: Known = result
      const axis = shapes.axisOf('slice', given, from.shape.length)
      const step = nth(steps, i)
      const { start, length } = sliceRange(nth(from.shape, axis), nth(starts, i), nth(ends, i), step)
      result = picked(from, from.shape.with(axis, length), index =>
        index.with(axis, start + nth(index, axis) * step),
      )
    }
    return result
  },
  Split([x], node) {
    const axis = axisOf(node, x.shape.length)
    const n = nth(x.shape, axis)
    const parts = node.int('num_outputs', node.outputs)
    if (parts !== node.outputs) return undefined
    const size = Math.ceil(n / parts)
    const sizes =
      node.ints('split', 1) ?? Array.from({ length: parts }, (_, i) => Math.min(size, n - i * size))
    let start = 0
    const pieces = sizes.map(length => {
      const first = start
      start += length
      return picked(x, x.shape.with(axis, length), index => index.with(axis, first + nth(index, axis)))
    })
    return start === n && pieces.every(k => k !== undefined) ? pieces : undefined
  },
  Squeeze([x], node) {
    const ones = [...x.shape.keys()].filter(i => x.shape[i] === 1)
    return reshaped(x, shapes.squeeze('squeeze', x.shape, node.ints('axes', 1) ?? ones))
  },
  Unsqueeze: ([x], node) => reshaped(x, shapes.unsqueeze('unsqueeze', x.shape, node.ints('axes', 1) ?? [])),
  Reshape([x, shape], node) {
    const target = node.ints('shape') ?? numbersOf(shape)
    const copies = !node.flag('allowzero')
    if (!target) return undefined
    const wanted = copies ? target.map((d, i) => (d === 0 ? (x.shape[i] ?? 0) : d)) : target
    return reshaped(x, shapes.reshape('reshape', x.shape, wanted))
  },
  Flatten([x], node) {
    const axis = node.int('axis', 1)
    return reshaped(x, [sizeOfDims(x.shape.slice(0, axis)), sizeOfDims(x.shape.slice(axis))])
  },
  Transpose([x], node) {
    const perm = node.ints('perm') ?? [...x.shape.keys()].reverse()
    const shape = shapes.transpose('transpose', x.shape, perm)
    return isConcrete(shape)
      ? picked(x, shape, index => perm.map((_, i) => nth(index, perm.indexOf(i))))
      : undefined
  },
  Expand([x, target]) {
    const wanted = numbersOf(target)
    if (!wanted) return undefined
    const shape = shapes.broadcast('expand', x.shape, wanted)
    return isConcrete(shape) && sizeOfDims(shape) <= MOST ? expanded(x, shape) : undefined
  },
  Tile([x, repeats]) {
    const times = numbersOf(repeats)
    if (times?.length !== x.shape.length || times.some(t => t < 0)) return undefined
    const shape = x.shape.map((n, i) => n * nth(times, i))
    return picked(x, shape, index => index.map((j, a) => j % nth(x.shape, a)))
  },
  Range([start, limit, delta]) {
    const [a, b, step] = [start, limit, delta].map(k => numbersOf(k)?.[0])
    if (a === undefined || b === undefined || !step) return undefined
    const length = Math.max(0, Math.ceil((b - a) / step))
    if (!(length <= MOST)) return undefined
    return list(
      Array.from({ length }, (_, i) => a + i * step),
      start.dtype,
    )
  },
  Cast([x], node) {
    const to = importedType(node.attribute('to', 'int'))
    const values = to && x.values.map(v => cast(v, x.dtype, to))
    // A value that changes is data; only what is kept is followed.
    return to && values?.every((v, i) => v !== undefined || x.values[i] === undefined)
      ? { ...x, dtype: to, values }
      : undefined
  },
  ConstantOfShape([shape], node) {
    const dims = numbersOf(shape)
    const fill = node.attribute('value', 'tensor')
    if (fill?.dataType !== DATA_TYPE.int64 || shape.shape.length !== 1) return undefined
    if (!dims?.every(d => d >= 0) || sizeOfDims(dims) > MOST) return undefined
    const [value] = readTensor(fill).data
    if (typeof value !== 'bigint') return undefined
    return { dtype: 'int64', shape: dims, values: new Array<Int64>(sizeOfDims(dims)).fill(exact(value)) }
  },
  Where(inputs) {
    const [, yes] = inputs
    const all = complete(inputs)
    if (all?.length !== 3 || !yes) return undefined
    return zipped(all, yes.dtype, (c, a, b) => (c === 1 || a === b ? a : c === 0 ? b : undefined))
  },
  Not: ([x]) => ({ ...x, values: x.values.map(v => (typeof v === 'number' ? 1 - v : undefined)) }),
  And: logical((a, b) => a !== 0 && b !== 0),
  Or: logical((a, b) => a !== 0 || b !== 0),
  Xor: logical((a, b) => (a !== 0) !== (b !== 0)),
  ReduceProd: folded('Mul', 1),
  ReduceSum: folded('Add', 0),
  ReduceMax: folded('Max'),
  ReduceMin: folded('Min'),
  NonZero([x]) {
    if (!x.values.every(isNumber)) return undefined
    const found = indices(x.shape).filter((_, i) => Number(x.values[i]) !== 0)
    return {
      dtype: 'int64',
      shape: [x.shape.length, found.length],
      values: x.shape.flatMap((_, a) => found.map(f => nth(f, a))),
    }
  },
  ...Object.fromEntries(
    COMBINING.map((op): [string, Rule] => [
      op,
      (inputs, node) => {
        const all = complete(inputs)
        if (op === 'Mod' && node.flag('fmod')) return undefined
        if (!all?.every(k => k.dtype === all[0]?.dtype)) return undefined
        const [first, ...rest] = all ?? []
        return rest.reduce(
          (a, b) => a && zipped([a, b], a.dtype, (v, w) => combined(op, a.dtype, v, w)),
          first,
        )
      },
    ]),
  ),
  ...Object.fromEntries(
    APPLYING.map((op): [string, Rule] => [
      op,
      ([x]) => ({ ...x, values: x.values.map(v => applied(op, x.dtype, v)) }),
    ]),
  ),
  ...Object.fromEntries(
    COMPARING.map((op): [string, Rule] => [
      op,
      inputs => {
        const all = complete(inputs)
        return all?.length === 2 ? zipped(all, 'bool', (a, b) => compared(op, a, b)) : undefined
      },
    ]),
  ),
}

export const RULES: Readonly<Record<string, Rule>> = Object.fromEntries(
  Object.entries(ALL).map(([op, rule]) => [op, guarded(rule)]),
)
