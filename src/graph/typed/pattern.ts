import type { Dim, Shape } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import type { Kind, ProductDims, Show, SumDims, Unify } from './dims.ts'
import type { Out } from './shapes.ts'

/**
 * Layers that take shapes of a pattern such as `['B', 'T', 64]`. In the body `'B'` equals only itself, so what is checked
 * there holds for any size. At each call {@link MatchShape} finds what it stands for and {@link Bind} puts that into the result.
 */

/** What the symbols of `P` stand for in `S`, by name, or a message; the escape type `any` stays what it is. */
export type MatchShape<Op extends string, P extends Shape, S extends Shape> = 0 extends 1 & S
  ? S
  : number extends P['length'] | S['length']
    ? Nothing
    : Solve<P, S> extends infer B
      ? B extends false
        ? `${Op}: ${Show<S>} does not match ${Show<P>}`
        : B
      : never

type Nothing = Record<never, never>

type Solve<P, S, B = Nothing> = P extends readonly [infer X, ...infer PR]
  ? S extends readonly [infer D, ...infer SR]
    ? Unify<X extends keyof B ? B[X] : Kind<X> extends 'symbol' ? D : X, D> extends [infer E]
      ? Solve<
          PR,
          SR,
          Kind<X> extends 'symbol' ? { [K in keyof B | (X & string)]: K extends X ? E : B[K & keyof B] } : B
        >
      : false
    : false
  : S extends readonly []
    ? B
    : false

/** The result `R` of a body, a tensor or arrays and objects of tensors, with the symbols replaced. */
export type Bind<R, B> = 0 extends 1 & R
  ? R
  : R extends Tensor<infer D, infer S>
    ? Tensor<D, BindShape<S, B>>
    : R extends (...args: never[]) => unknown
      ? R
      : { [K in keyof R]: Bind<R[K], B> }

export type BindShape<S, B> = 0 extends 1 & S
  ? S
  : 0 extends 1 & B
    ? B
    : B extends string
      ? Out<B>
      : S extends Shape
        ? number extends S['length']
          ? Dim[]
          : { -readonly [I in keyof S]: BindDim<S[I], B> }
        : never

/** A symbol that is not in the pattern comes from another tensor and is unknown here. */
type BindDim<D, B> = D extends number
  ? D
  : D extends keyof B
    ? B[D]
    : D extends `${string}+${string}`
      ? SumDims<BindTerms<D, B>>
      : BindTerm<D, B>

type BindTerms<D, B> = D extends `${infer A}+${infer R}`
  ? [BindTerm<A, B>, ...BindTerms<R, B>]
  : [BindTerm<D, B>]

type BindTerm<D, B> = D extends `${string}*${string}` ? ProductDims<BindFactors<D, B>> : BindFactor<D, B>

type BindFactors<D, B> = D extends `${infer A}*${infer R}`
  ? [BindFactor<A, B>, ...BindFactors<R, B>]
  : [BindFactor<D, B>]

type BindFactor<X, B> = X extends keyof B ? B[X] : X extends `${infer N extends number}` ? N : number
