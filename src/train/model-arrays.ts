import type { ArrayValue } from '../data/arrays.ts'
import type { NdArray } from '../graph/array.ts'
import type { Tensor } from '../graph/tensor.ts'
import type { Model } from '../nn/model.ts'

/** Values of a model's inputs by name. */
export type InputArrays<M extends Model = Model> = { readonly [K in keyof M['inputs']]: ArrayValue }

/** Values of a model's outputs by name, in the array type of each output's dtype. */
export type OutputArrays<M extends Model = Model> = {
  readonly [K in keyof M['outputs']]: M['outputs'][K] extends Tensor<infer D> ? NdArray<D> : NdArray
}

/** The tensors that a run of the model has answered, as arrays. */
export const arraysOf = <M extends Model>(tensors: Readonly<Record<string, NdArray>>): OutputArrays<M> =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, { data, dims }]) => [name, { data, dims }]),
  ) as OutputArrays<M>
