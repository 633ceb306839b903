import type { ArrayValue } from '../data/arrays.ts'
import type { UserBatch } from '../data/dataset.ts'
import type { NdArray } from '../graph/array.ts'
import { halfValues } from '../graph/half.ts'
import type { Tensor } from '../graph/tensor.ts'
import type { Model } from '../nn/model.ts'

// A model whose types are known is a function of its inputs that returns its outputs.

/** Values of a model's inputs by name. */
export type InputArrays<M extends Model = Model> = M extends (inputs: infer I) => unknown
  ? { readonly [K in keyof I]: ArrayValue }
  : UserBatch

/** The array of a tensor; of any dtype where it is not known. */
type ArrayOf<T> =
  T extends Tensor<infer D>
    ? 0 extends 1 & D
      ? NdArray
      : NdArray<D extends 'float16' ? 'float32' : D>
    : NdArray

/** Values of a model's outputs by name, in the array type of each output's dtype; float16 as float32. */
export type OutputArrays<M extends Model = Model> = M extends (inputs: never) => infer O
  ? { readonly [K in keyof O]: ArrayOf<O[K]> }
  : Readonly<Record<string, NdArray>>

/** The tensors that a run of the model has answered, as arrays of numbers. */
export const arraysOf = <M extends Model>(
  tensors: Readonly<Record<string, NdArray & { readonly type?: string }>>,
): OutputArrays<M> =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, { type, data, dims }]) => [
      name,
      { data: type === 'float16' && data instanceof Uint16Array ? halfValues(data) : data, dims },
    ]),
  ) as OutputArrays<M>
