import type { ArrayValue } from '../data/arrays.ts'
import type { UserBatch } from '../data/dataset.ts'
import type { NdArray } from '../graph/array.ts'
import type { Tensor } from '../graph/tensor.ts'
import type { Model } from '../nn/model.ts'

// A model whose types are known is a function of its inputs that returns its outputs.

/** Values of a model's inputs by name. */
export type InputArrays<M extends Model = Model> = M extends (inputs: infer I) => unknown
  ? { readonly [K in keyof I]: ArrayValue }
  : UserBatch

/** The array of a tensor; of any dtype where it is not known. */
type ArrayOf<T> = T extends Tensor<infer D> ? (0 extends 1 & D ? NdArray : NdArray<D>) : NdArray

/** Values of a model's outputs by name, in the array type of each output's dtype. */
export type OutputArrays<M extends Model = Model> = M extends (inputs: never) => infer O
  ? { readonly [K in keyof O]: ArrayOf<O[K]> }
  : Readonly<Record<string, NdArray>>

/** The tensors that a run of the model has answered, as arrays. */
export const arraysOf = <M extends Model>(tensors: Readonly<Record<string, NdArray>>): OutputArrays<M> =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, { data, dims }]) => [name, { data, dims }]),
  ) as OutputArrays<M>
