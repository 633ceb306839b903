import { attr, type TensorType } from '../graph/attributes.ts'
import { ShapeError } from '../graph/errors.ts'
import { sizeOf } from '../graph/leaf.ts'
import { fileOp, sameDType } from '../graph/op.ts'
import { f32, i64, sample } from '../graph/sample.ts'
import { product, type Shape, sameShape, show, UNKNOWN } from '../graph/shape.ts'
import type { AnyTensor } from '../graph/tensor.ts'
import { add, less, mul, where } from './elementwise.ts'
import gathering, { gatherElements, scatterAdd } from './gather.ts'
import { expand, fill, reshape, select } from './layout.ts'

/** How many axes of `x` each index of the last axis of `indices` names. */
function depthOf(name: string, x: TensorType, indices: TensorType, batch: number): number {
  if (indices.dtype !== 'int32' && indices.dtype !== 'int64')
    throw new ShapeError(`${name}: indices must be int32 or int64, not ${indices.dtype}`)
  if (batch < 0) throw new ShapeError(`${name}: batch_dims must be at least 0, not ${batch}`)
  const depth = indices.shape.at(-1)
  if (typeof depth !== 'number' || depth === UNKNOWN)
    throw new ShapeError(`${name}: the last dim of indices ${show(indices.shape)} must be known`)
  if (batch >= indices.shape.length || batch + depth > x.shape.length)
    throw new ShapeError(
      `${name}: indices ${show(indices.shape)} name more axes than ${show(x.shape)} has after ${batch} of a batch`,
    )
  if (!sameShape(indices.shape.slice(0, batch), x.shape.slice(0, batch)))
    throw new ShapeError(
      `${name}: the first ${batch} dims of ${show(x.shape)} and indices ${show(indices.shape)} differ`,
    )
  return depth
}

/** `x` as `[batch, places, slice]`, with the place of each index as an index of the middle axis, one for each element of a slice. */
function flattened(
  name: string,
  x: AnyTensor,
  indices: AnyTensor,
  batch: number,
): { readonly shape: Shape; readonly picked: Shape; readonly places: AnyTensor } {
  const depth = depthOf(name, x, indices, batch)
  const dims: Shape = x.shape.slice(batch, batch + depth)
  const lead = product(x.shape.slice(0, batch))
  const slice = product(x.shape.slice(batch + depth))
  const count = product(indices.shape.slice(batch, -1))
  // Horner's rule over the axes; a negative index counts from the end.
  const place = dims.reduce<AnyTensor>(
    (sum, dim, k): AnyTensor => {
      const [index, size] = [select(indices, -1, k), sizeOf(dim, indices.dtype)]
      return add(mul(sum, size), where(less(index, 0), add(index, size), index))
    },
    fill(0, indices.dtype, indices.shape.slice(0, -1)),
  )
  const picked = [lead, count, slice]
  return {
    shape: [lead, product(dims), slice],
    picked,
    places: expand(reshape(place, [lead, count, 1]), picked),
  }
}

/** Shape of what indices of `x` give. */
const gathered = (x: TensorType, indices: TensorType, batch: number): Shape => [
  ...indices.shape.slice(0, -1),
  ...x.shape.slice(batch + depthOf('gatherND', x, indices, batch)),
]

const GatherND = fileOp('GatherND', {
  inputs: ['data', 'indices'],
  outputs: ['output'],
  attrs: { batch: attr.int({ name: 'batch_dims', default: 0 }) },
  infer: ([x, indices], { batch }) => [{ dtype: x.dtype, shape: gathered(x, indices, batch) }],
  // d gather(x, i) = dy added into zeros at i
  vjp: ({ x: [x, indices], dy, attrs: { batch } }) => {
    const { shape, picked, places } = flattened('gatherND', x, indices, batch)
    return [reshape(scatterAdd(shape, places, reshape(dy, picked), 1), x.shape), null]
  },
  decompose: ([x, indices], { batch }) => {
    const { shape, places } = flattened('gatherND', x, indices, batch)
    const slices = gatherElements(reshape(x, shape), places, 1)
    return [reshape(slices, gathered(x, indices, batch))]
  },
  samples: [
    sample(f32(3, 4, 5), i64(3, 7, 2), { batch: 0 }),
    sample(f32(3, 4, 3), i64(3, 2, 3), { batch: 0 }),
    sample(f32(2, 4, 5), i64(4, 2, 3, 1), { batch: 1 }),
  ],
})

/** Slices of `x` at indices of its first axes, after `batch` axes that both share. */
export const gatherND = (x: AnyTensor, indices: AnyTensor, batch = 0): AnyTensor =>
  GatherND.apply([x, indices], { batch })

const ScatterND = fileOp('ScatterND', {
  inputs: ['data', 'indices', 'updates'],
  outputs: ['output'],
  infer: ([x, indices, updates]) => {
    const depth = depthOf('scatterND', x, indices, 0)
    const shape = [...indices.shape.slice(0, -1), ...x.shape.slice(depth)]
    if (!sameShape(updates.shape, shape))
      throw new ShapeError(
        `scatterND: updates ${show(updates.shape)} must be ${show(shape)} for ${show(x.shape)} and indices ${show(indices.shape)}`,
      )
    return [{ dtype: sameDType('scatterND', [x, updates]), shape: x.shape }]
  },
  // y = x with the slices at i replaced: dx = dy with zeros at i, d updates = dy gathered at i
  vjp: ({ x: [, indices, updates], dy }) => [
    replaced(dy, indices, fill(0, dy.dtype, updates.shape)),
    null,
    gatherND(dy, indices),
  ],
  samples: [sample(f32(3, 4, 5), i64(3, 1, 2), f32(1, 5)), sample(f32(4, 3), i64(4, 1, 1), f32(1, 3))],
})

const replaced = (x: AnyTensor, indices: AnyTensor, updates: AnyTensor): AnyTensor =>
  ScatterND.apply([x, indices, updates])

/**
 * `x` with slices of `updates` at indices of its first axes. Reductions run as ScatterElements, since onnxruntime's own
 * kernel loses updates of repeated indices. @param reduction without one an index must not come twice
 */
export function scatterND(
  x: AnyTensor,
  indices: AnyTensor,
  updates: AnyTensor,
  reduction: 'none' | 'add' | 'mul' | 'max' | 'min',
): AnyTensor {
  if (reduction === 'none') return replaced(x, indices, updates)
  const { shape, picked, places } = flattened('scatterND', x, indices, 0)
  const y = gathering.scatter(reshape(x, shape), places, reshape(updates, picked), 1, reduction)
  return reshape(y, x.shape)
}
