import { sizeOfDims } from '../graph/array.ts'
import { isConcrete } from '../graph/bind.ts'
import type { DType } from '../graph/dtype.ts'
import { nth } from '../graph/present.ts'
import type { Shape } from '../graph/shape.ts'
import * as shapes from '../graph/shape.ts'
import { type Element, type Known, MOST } from './value.ts'

/** Known values under other shapes, and element by element. */

/** Distance between neighbours of each axis. */
export const strides = (shape: readonly number[]): number[] =>
  shape.map((_, i) => sizeOfDims(shape.slice(i + 1)))

/** Indices of the elements of a shape, in row-major order. */
export function indices(shape: readonly number[]): number[][] {
  const steps = strides(shape)
  const size = sizeOfDims(shape)
  return Array.from({ length: size }, (_, i) => shape.map((n, a) => Math.floor(i / nth(steps, a)) % n))
}

/** A value of `shape` whose elements are those of `x` at other places. */
export function picked(
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
export const reshaped = (x: Known, shape: Shape): Known | undefined =>
  isConcrete(shape) && sizeOfDims(shape) === x.values.length ? { ...x, shape } : undefined

/** A known value repeated up to a shape that it broadcasts to. */
export const expanded = (x: Known, shape: readonly number[]): Known | undefined =>
  shapes.equalShape(x.shape, shape)
    ? x
    : picked(x, shape, index =>
        x.shape.map((n, a) => (n === 1 ? 0 : nth(index, a + index.length - x.shape.length))),
      )

/** Element by element with broadcasting. */
export function zipped(
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
