import type { Dim, Shape } from '../shape.ts'
import type { Digits, FromDigits, SubDigits } from './arithmetic.ts'
import type { IsUnion, Kind, List, Show, Unify } from './dims.ts'
import type { Loose } from './shapes.ts'

/** The rules that name an axis. An axis that is not one literal gives an unknown shape. */

/** Position of axis `I` in `S` as a key; `never` when out of range, 0 when not known. */
export type AxisAt<S extends Shape, I extends number> = number extends I | S['length']
  ? 0
  : IsUnion<I> extends true
    ? 0
    : `${I}` extends `-${infer N extends bigint}`
      ? SubDigits<Digits<S['length']>, Digits<N>> extends infer P extends string
        ? P extends '-'
          ? never
          : `${FromDigits<P>}`
        : never
      : `${I}` extends keyof S
        ? `${I}`
        : never

export type OutOfRange<
  Op extends string,
  S extends Shape,
  I extends number,
> = `${Op}: axis ${I} is out of range for rank ${S['length']}`

/** `S` with `D` at the axes in `X`. */
export type SetAxes<S, X, D> = { -readonly [I in keyof S]: I extends X ? D : S[I] }

/** `S` with the dims `D` in place of axis `X`. */
type Splice<S, X, D extends readonly unknown[], O extends readonly unknown[] = []> = S extends readonly [
  infer H,
  ...infer R,
]
  ? `${O['length']}` extends X
    ? [...O, ...D, ...R]
    : Splice<R, X, D, [...O, H]>
  : O

/** `S` when axis `I` exists. */
export type HasAxis<Op extends string, S extends Shape, I extends number> = [AxisAt<S, I>] extends [never]
  ? OutOfRange<Op, S, I>
  : S

/** `[positions of the axes L as a union of keys]`, a message, or 0 when not known. */
type Positions<
  Op extends string,
  S extends Shape,
  L,
  O = never,
  Twice = false,
  All = L,
> = L extends readonly [infer I extends number, ...infer R]
  ? [AxisAt<S, I>] extends [never]
    ? OutOfRange<Op, S, I>
    : AxisAt<S, I> extends infer X
      ? X extends string
        ? Positions<Op, S, R, O | X, X extends O ? true : Twice, All>
        : 0
      : never
  : Twice extends true
    ? `${Op}: axes ${List<All>} contain one axis twice`
    : [O]

/** Like {@link Positions}; a number is one axis, none at all means all. */
type Axes<Op extends string, S extends Shape, A> = [A] extends [undefined]
  ? [Exclude<keyof S, keyof unknown[]>]
  : [A] extends [number]
    ? Positions<Op, S, [A]>
    : A extends readonly number[]
      ? number extends A['length']
        ? 0
        : Positions<Op, S, A>
      : 0

/** `S` without the axes in `X`. */
type Drop<S, X, I extends readonly unknown[] = [], O extends readonly unknown[] = []> = S extends readonly [
  infer D,
  ...infer R,
]
  ? Drop<R, X, [...I, D], `${I['length']}` extends X ? O : [...O, D]>
  : O

/** A reduction over `A`; all when it is left out. */
export type Reduce<Op extends string, S extends Shape, A, Keep> = [A, Keep] extends [undefined, false]
  ? []
  : number extends S['length']
    ? Loose<S>
    : Axes<Op, S, A> extends infer X
      ? X extends [infer P]
        ? Keep extends true
          ? SetAxes<S, P, 1>
          : Drop<S, P>
        : X extends string
          ? X
          : Dim[]
      : never

/** Dims of size 1 taken away. */
export type Squeeze<Op extends string, S extends Shape, A> = number extends S['length']
  ? Loose<S>
  : Axes<Op, S, A> extends infer X
    ? X extends [infer P]
      ? Ones<S, P> extends infer R
        ? R extends string
          ? `${Op}: ${R} of ${Show<S>} is not 1`
          : R
        : never
      : X extends string
        ? X
        : Dim[]
    : never

/** {@link Drop}, or the text of the first dim in `X` that is certainly not 1. */
type Ones<S, X, I extends readonly unknown[] = [], O extends readonly unknown[] = []> = S extends readonly [
  infer D,
  ...infer R,
]
  ? `${I['length']}` extends X
    ? Unify<D, 1> extends false
      ? `dim ${D & Dim} at axis ${I['length']}`
      : Ones<R, X, [...I, D], O>
    : Ones<R, X, [...I, D], [...O, D]>
  : O

/** Dims of size 1 put in, at positions of the result. */
export type Unsqueeze<Op extends string, S extends Shape, A> = number extends S['length']
  ? Loose<S>
  : A extends number
    ? UnsqueezeAll<Op, S, [A]>
    : A extends readonly number[]
      ? number extends A['length']
        ? Dim[]
        : UnsqueezeAll<Op, S, A>
      : Dim[]

type UnsqueezeAll<Op extends string, S extends Shape, A extends readonly number[]> =
  Positions<Op, [...A, ...S], A> extends infer X
    ? X extends [infer P]
      ? Interleave<S, P>
      : X extends string
        ? X
        : Dim[]
    : never

type Interleave<S, X, O extends readonly unknown[] = []> = `${O['length']}` extends X
  ? Interleave<S, X, [...O, 1]>
  : S extends readonly [infer D, ...infer R]
    ? Interleave<R, X, [...O, D]>
    : O

/** `x[indices]` along one axis: the axis is replaced by the dims of the indices. */
export type Gather<Op extends string, S extends Shape, I extends Shape, A extends number> = [
  AxisAt<S, A>,
] extends [never]
  ? OutOfRange<Op, S, A>
  : number extends S['length'] | I['length']
    ? Loose<S, I>
    : AxisAt<S, A> extends infer X
      ? X extends string
        ? Splice<S, X, I>
        : Dim[]
      : never

/** `x[index]` along one axis, which goes. */
export type Select<Op extends string, S extends Shape, A extends number, I extends number> = [
  AxisAt<S, A>,
] extends [never]
  ? OutOfRange<Op, S, A>
  : number extends S['length']
    ? Loose<S>
    : AxisAt<S, A> extends infer X
      ? X extends keyof S & string
        ? Holds<S[X], I> extends false
          ? `${Op}: index ${I} is out of range for dim ${S[X] & Dim} of ${Show<S>}`
          : Splice<S, X, []>
        : Dim[]
      : never

/** `false` when index `I`, possibly counted from the end, is certainly not in a dim of size `D`. */
type Holds<D, I extends number> =
  Kind<D> extends 'size'
    ? Kind<I> extends 'size'
      ? SubDigits<Digits<D & number>, Digits<I>> extends '-' | '0'
        ? false
        : true
      : [IsUnion<I>, `${I}`] extends [false, `-${infer N extends bigint}`]
        ? SubDigits<Digits<D & number>, Digits<N>> extends '-'
          ? false
          : true
        : true
    : true
