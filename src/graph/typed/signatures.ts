import type { DType, FloatType, IntType } from '../dtype.ts'
import { type Example, example } from '../example.ts'
import type { Shape } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import type { Gather, HasAxis, Reduce, Select, Squeeze, Unsqueeze } from './axes.ts'
import type { Attention, LayerNorm, Linear, LinearBias, RmsNorm, SameShape, Scores } from './layers.ts'
import type { Concat, Pad, Slice, Split } from './pieces.ts'
import type { Arg, Broadcast, Expand, MatMul, Out, Reshape, Transpose } from './shapes.ts'

/**
 * Types of the public ops. A mistake shows the run time's message as the type that the wrong argument should have
 * had. The dtype comes from the first operand; every operand has a shape parameter of its own.
 */

type Axes = number | readonly number[]

/**
 * Gives an untyped function the type `F` that is wanted. The one cast between the two levels: `F` says what the shape
 * rules do that the function runs whatever the types are. @param args an example for the documentation
 */
export const typed = <F>(f: (...args: never[]) => unknown, args?: Example): F => {
  const untyped: unknown = args ? example(f, args) : f
  return untyped as F
}

export type UnaryFn<Rest extends readonly unknown[] = []> = <D extends DType, S extends Shape>(
  x: Tensor<D, S>,
  ...rest: Rest
) => Tensor<D, S>

/** With further arguments `Rest` that change neither dtype nor shape. */
export type FloatUnaryFn<Rest extends readonly unknown[] = []> = <D extends FloatType, S extends Shape>(
  x: Tensor<D, S>,
  ...rest: Rest
) => Tensor<D, S>

/** Two operands of one dtype and shape. */
export type BinaryModeFn = <D extends DType, S extends Shape>(
  training: Tensor<D, S>,
  otherwise: Tensor<NoInfer<D>, NoInfer<S>>,
) => Tensor<D, S>

export type CastFn = <S extends Shape, D extends DType>(x: Tensor<DType, S>, dtype: D) => Tensor<D, S>

/** Elementwise with broadcasting; a number is a scalar of `a`'s dtype. */
export type BinaryFn<Op extends string> = <D extends DType, A extends Shape, B extends Shape = []>(
  a: Tensor<D, A>,
  b: number | Arg<Broadcast<Op, A, B>, Tensor<NoInfer<D>, B>>,
) => Tensor<D, Out<Broadcast<Op, A, B>>>

/** Like {@link BinaryFn}, to booleans. */
export type CompareFn<Op extends string> = <D extends DType, A extends Shape, B extends Shape = []>(
  a: Tensor<D, A>,
  b: number | Arg<Broadcast<Op, A, B>, Tensor<NoInfer<D>, B>>,
) => Tensor<'bool', Out<Broadcast<Op, A, B>>>

type Where<C extends Shape, R> = R extends Shape ? Broadcast<'where', C, R> : R

/** `a` where the condition holds, else `b`. */
export type WhereFn = <C extends Shape, D extends DType, A extends Shape, B extends Shape = []>(
  condition: Tensor<'bool', C>,
  a: Arg<Where<C, A>, Tensor<D, A>>,
  b: number | Arg<Where<C, Broadcast<'where', A, B>>, Tensor<NoInfer<D>, B>>,
) => Tensor<D, Out<Where<C, Broadcast<'where', A, B>>>>

export type MatMulFn<Op extends string = 'matmul'> = <D extends DType, A extends Shape, B extends Shape>(
  a: Tensor<D, A>,
  b: Arg<MatMul<Op, A, B>, Tensor<NoInfer<D>, B>>,
) => Tensor<D, Out<MatMul<Op, A, B>>>

export type ReshapeFn<Op extends string = 'reshape'> = <
  D extends DType,
  S extends Shape,
  const T extends Shape,
>(
  x: Tensor<D, S>,
  shape: Arg<Reshape<Op, S, T>, T>,
) => Tensor<D, Out<Reshape<Op, S, T>>>

export type ExpandFn<Op extends string = 'expand'> = <
  D extends DType,
  S extends Shape,
  const T extends Shape,
>(
  x: Tensor<D, S>,
  shape: Arg<Expand<Op, S, T>, T>,
) => Tensor<D, Out<Expand<Op, S, T>>>

export type TransposeFn<Op extends string = 'transpose'> = <
  D extends DType,
  S extends Shape,
  const P extends readonly number[],
>(
  x: Tensor<D, S>,
  perm: Arg<Transpose<Op, S, P>, P>,
) => Tensor<D, Out<Transpose<Op, S, P>>>

type Shapes<T extends readonly Tensor[]> = { [I in keyof T]: T[I]['shape'] }

/** The rule of concat for tensors; their dtype is the first one's. */
type Joined<Op extends string, T extends readonly Tensor[], A extends number> = [T[number]['dtype']] extends [
  T[0]['dtype'],
]
  ? Concat<Op, Shapes<T>, A>
  : `${Op}: dtypes ${T[0]['dtype']} and ${Exclude<T[number]['dtype'], T[0]['dtype']>} differ; cast one of them`

export type ConcatFn<Op extends string = 'concat'> = <const T extends readonly Tensor[], A extends number>(
  tensors: Arg<Joined<Op, T, A>, T>,
  axis: A,
) => Tensor<T[0]['dtype'], Out<Joined<Op, T, A>>>

type Tensors<D extends DType, L> = { [I in keyof L]: Tensor<D, L[I]> }

export type SplitFn<Op extends string = 'split'> = <
  D extends DType,
  S extends Shape,
  A extends number,
  const P extends Axes,
>(
  x: Tensor<D, S>,
  axis: A,
  parts: Arg<Split<Op, S, A, P>, P>,
) => Out<Tensors<D, Split<Op, S, A, P>>>

export type SliceFn<Op extends string = 'slice'> = <
  D extends DType,
  S extends Shape,
  A extends number,
  From extends number,
  To extends number,
  Step extends number = 1,
>(
  x: Tensor<D, S>,
  axis: Arg<Slice<Op, S, A, From, To, Step>, A>,
  start: From,
  end: To,
  step?: Step,
) => Tensor<D, Out<Slice<Op, S, A, From, To, Step>>>

/** Elements around each axis. */
export type PadFn<Op extends string = 'pad'> = <
  D extends DType,
  S extends Shape,
  const Before extends readonly number[],
  const After extends readonly number[],
>(
  x: Tensor<D, S>,
  before: Before,
  after: Arg<Pad<Op, S, Before, After>, After>,
  value?: number,
) => Tensor<D, Out<Pad<Op, S, Before, After>>>

/** One element of an axis; the axis is removed. */
export type SelectFn<Op extends string = 'select'> = <
  D extends DType,
  S extends Shape,
  A extends number,
  I extends number,
>(
  x: Tensor<D, S>,
  axis: Arg<HasAxis<Op, S, A>, A>,
  index: Arg<Select<Op, S, A, I>, I>,
) => Tensor<D, Out<Select<Op, S, A, I>>>

export type GatherFn<Op extends string = 'gather'> = <
  D extends DType,
  S extends Shape,
  I extends Shape,
  A extends number = 0,
>(
  x: Tensor<D, S>,
  indices: Tensor<IntType, I>,
  axis?: Arg<Gather<Op, S, I, A>, A>,
) => Tensor<D, Out<Gather<Op, S, I, A>>>

/** The result has the shape of the indices. */
export type GatherElementsFn = <D extends DType, I extends Shape>(
  x: Tensor<D>,
  indices: Tensor<IntType, I>,
  axis: number,
) => Tensor<D, I>

export type OneHotFn = <S extends Shape, N extends number, D extends DType = 'float32'>(
  labels: Tensor<IntType, S>,
  classes: N,
  dtype?: D,
) => Tensor<D, [...S, N]>

/** Over `axes`, all when left out; reduced dims go unless `keepdims`. */
export type ReduceFn<Op extends string> = <
  D extends DType,
  S extends Shape,
  const A extends Axes | undefined = undefined,
  K extends boolean = false,
>(
  x: Tensor<D, S>,
  axes?: Arg<Reduce<Op, S, A, K>, A>,
  keepdims?: K,
) => Tensor<D, Out<Reduce<Op, S, A, K>>>

/** Index of an extreme along one axis. */
export type ArgReduceFn<Op extends string> = <S extends Shape, A extends number, K extends boolean = false>(
  x: Tensor<DType, S>,
  axis: Arg<Reduce<Op, S, A, K>, A>,
  keepdims?: K,
) => Tensor<'int64', Out<Reduce<Op, S, A, K>>>

/** Along one axis, the last one when left out. */
export type SoftmaxFn<Op extends string> = <D extends FloatType, S extends Shape, A extends number = -1>(
  x: Tensor<D, S>,
  axis?: Arg<HasAxis<Op, S, A>, A>,
) => Tensor<D, S>

export type SqueezeFn<Op extends string = 'squeeze'> = <
  D extends DType,
  S extends Shape,
  const A extends Axes,
>(
  x: Tensor<D, S>,
  axes: Arg<Squeeze<Op, S, A>, A>,
) => Tensor<D, Out<Squeeze<Op, S, A>>>

export type UnsqueezeFn<Op extends string = 'unsqueeze'> = <
  D extends DType,
  S extends Shape,
  const A extends Axes,
>(
  x: Tensor<D, S>,
  axes: Arg<Unsqueeze<Op, S, A>, A>,
) => Tensor<D, Out<Unsqueeze<Op, S, A>>>

/** `x` is `[..., in]`, `weight` `[out, in]`, `bias` `[out]`. */
export type LinearFn<Op extends string = 'linear'> = <
  D extends DType,
  X extends Shape,
  W extends Shape,
  B extends Shape,
>(
  x: Tensor<D, X>,
  weight: Arg<Linear<Op, X, W>, Tensor<NoInfer<D>, W>>,
  bias?: Arg<LinearBias<Op, W, B>, Tensor<NoInfer<D>, B>>,
) => Tensor<D, Out<Linear<Op, X, W>>>

/** `weight` and `bias` have the trailing dims that are normalized. */
export type LayerNormFn<Op extends string = 'layerNorm'> = <
  D extends FloatType,
  X extends Shape,
  W extends Shape,
  B extends Shape,
>(
  x: Tensor<D, X>,
  weight: Arg<LayerNorm<Op, X, W>, Tensor<NoInfer<D>, W>>,
  bias: Arg<SameShape<Op, W, B>, Tensor<NoInfer<D>, B>>,
  eps?: number,
) => Tensor<D, X>

/** `weight` is `[d]` for the last dim d of `x`. */
export type RmsNormFn<Op extends string = 'rmsNorm'> = <
  D extends FloatType,
  X extends Shape,
  W extends Shape,
>(
  x: Tensor<D, X>,
  weight: Arg<RmsNorm<Op, X, W>, Tensor<NoInfer<D>, W>>,
  eps?: number,
) => Tensor<D, X>

/** `q` is `[..., T, d]`, `k` `[..., S, d]`, `v` `[..., S, e]`; the result `[..., T, e]`. */
export type AttentionFn<Op extends string = 'attention'> = <
  D extends FloatType,
  Q extends Shape,
  K extends Shape,
  V extends Shape,
>(
  q: Tensor<D, Q>,
  k: Arg<Scores<Op, Q, K>, Tensor<NoInfer<D>, K>>,
  v: Arg<Attention<Op, Q, K, V>, Tensor<NoInfer<D>, V>>,
  options?: { readonly causal?: boolean },
) => Tensor<D, Out<Attention<Op, Q, K, V>>>
