import type { Dim } from '../shape.ts'
import type { AddDigits, Digits, FromDigits, MulDigits } from './arithmetic.ts'

/** What one dim can be. Everything here only ever widens what it does not know to `number`. */

export type IsUnion<D, E = D> = D extends D ? ([E] extends [D] ? false : true) : never

/**
 * `'size'`, `'symbol'`, `'-1'`, or `'?'` for what is not known: `number`, `string`, unions, `any`, fractions
 * and other negatives.
 */
export type Kind<D> = 0 extends 1 & D
  ? '?'
  : false extends IsUnion<D>
    ? D extends number
      ? `${D}` extends `-${string}`
        ? D extends -1
          ? '-1'
          : '?'
        : `${D}` extends `${bigint}`
          ? 'size'
          : '?'
      : string extends D
        ? '?'
        : 'symbol'
    : '?'

/** Unknown kinds. */
export type Unknown = '?' | '-1'

/**
 * `[the one dim that two equal dims have]`; `false` when they certainly differ. Subtypes come first, in arrays: unlike
 * tuples, those are compared at once even when they hold type parameters.
 */
export type Unify<A, B> = A[] extends B[]
  ? [A]
  : B[] extends A[]
    ? [B]
    : Kind<A> extends Unknown
      ? [B]
      : Kind<B> extends Unknown
        ? [A]
        : false

/** {@link Unify} where 1 stretches. */
export type Stretch<A, B> = A[] extends B[]
  ? B[] extends A[]
    ? [A | B]
    : StretchOne<A, B>
  : StretchOne<A, B>

// Of two dims that are not known, such as `number` and `1 | 7`, either may be the 1.
type StretchOne<A, B> = [A] extends [1]
  ? [B]
  : [B] extends [1]
    ? [A]
    : Kind<A> extends Unknown
      ? [Kind<B> extends Unknown ? number : B]
      : Kind<B> extends Unknown
        ? [A]
        : false

/** A shape as messages write it; `Hole` stands for -1. */
export type Show<S, Hole extends string = '?', O extends string = ''> = S extends readonly [
  infer D,
  ...infer R,
]
  ? Show<R, Hole, `${O}${O extends '' ? '' : ','}${ShowDim<D, Hole>}`>
  : `[${O}]`

type ShowDim<D, Hole extends string> =
  Kind<D> extends Unknown ? (Kind<D> extends '-1' ? Hole : '?') : `${D & Dim}`

/** Numbers as messages write them. */
export type List<L, O extends string = ''> = L extends readonly [infer N extends number, ...infer R]
  ? List<R, `${O}${O extends '' ? '' : ','}${N}`>
  : `[${O}]`

/** Sum of dims; symbols are joined with `+`, the literal last: `['past+1', 'seq', 2]` gives `'past+seq+3'`. */
export type SumDims<L, N extends string = '0', O extends string = ''> = L extends readonly [
  infer D,
  ...infer R,
]
  ? Kind<D> extends 'size'
    ? SumDims<R, N extends '0' ? Digits<D & number> : AddDigits<N, Digits<D & number>>, O>
    : Kind<D> extends 'symbol'
      ? D extends `${infer A}+${infer B}`
        ? SumDims<[Factor<A>, Factor<B>, ...R], N, O>
        : SumDims<R, N, O extends '' ? D & string : `${O}+${D & string}`>
      : number
  : O extends ''
    ? FromDigits<N>
    : N extends '0'
      ? O
      : `${O}+${FromDigits<N>}`

/** Product of dims; symbols from left to right, the literal last. */
export type ProductDims<L> =
  AllFactors<L> extends [infer F, string]
    ? Tally<F> extends [infer N extends string, infer Y extends readonly string[]]
      ? FromTally<N, Y>
      : never
    : number

/** Factors of a dim: `'batch*17'` is `['batch', 17]`; a sum is one factor. */
type Factors<D> = D extends `${string}+${string}`
  ? [D]
  : D extends `${infer A}*${infer B}`
    ? [Factor<A>, ...Factors<B>]
    : [Factor<D>]

type Factor<D> = D extends `${infer N extends number}` ? N : D

/** `[factors of all dims, one dash per hole]`; `'?'` where a dim is not known. `Hole` is `'-1'` where -1 is one. */
export type AllFactors<
  S,
  Hole extends string = never,
  O extends readonly unknown[] = [],
  H extends string = '',
> = S extends readonly [infer D, ...infer R]
  ? Kind<D> extends 'size'
    ? AllFactors<R, Hole, [...O, D], H>
    : Kind<D> extends 'symbol'
      ? AllFactors<R, Hole, [...O, ...Factors<D>], H>
      : [Kind<D>] extends [Hole]
        ? AllFactors<R, Hole, O, `${H}-`>
        : '?'
  : [O, H]

/** Product of factors: digits of the literal and the symbols. A product with 0 is 0. */
export type Tally<L, N extends string = '1', Y extends readonly string[] = []> = L extends readonly [
  infer D,
  ...infer R,
]
  ? D extends number
    ? Tally<R, N extends '1' ? Digits<D> : MulDigits<N, Digits<D>>, Y>
    : Tally<R, N, [...Y, D & string]>
  : N extends '0'
    ? ['0', []]
    : [N, Y]

/** The dim of a tally: symbols from left to right, the literal last. A sum times something is not written: unknown. */
export type FromTally<N extends string, Y extends readonly string[]> = Y extends readonly []
  ? FromDigits<N>
  : N extends '0'
    ? 0
    : Y extends readonly [infer D]
      ? N extends '1'
        ? D
        : JoinFactors<Y, `*${FromDigits<N>}`>
      : JoinFactors<Y, N extends '1' ? '' : `*${FromDigits<N>}`>

type JoinFactors<Y, Tail extends string, O extends string = ''> = Y extends readonly [
  infer D extends string,
  ...infer R,
]
  ? D extends `${string}+${string}`
    ? number
    : JoinFactors<R, Tail, O extends '' ? D : `${O}*${D}`>
  : `${O}${Tail}`
