import type { Dim, Shape } from '../shape.ts'
import type { AddDigits, Digits, DivModDigits, FromDigits, SubDigits } from './arithmetic.ts'
import type { AxisAt, OutOfRange, SetAxes } from './axes.ts'
import type { IsUnion, Kind, List, Show, SumDims, Unify } from './dims.ts'
import type { Loose } from './shapes.ts'

/** Shapes put together and cut apart along one axis. */

/** Concatenation of shapes; an array of unknown length has one shape for all. */
export type Concat<
  Op extends string,
  L extends readonly Shape[],
  A extends number,
> = number extends L['length']
  ? IsUnion<L[number]> extends false
    ? Along<Op, L[number], A, number>
    : Dim[]
  : L extends readonly [infer F extends Shape, ...infer R extends readonly Shape[]]
    ? [AxisAt<F, A>] extends [never]
      ? OutOfRange<Op, F, A>
      : AxisAt<F, A> extends infer X
        ? X extends string
          ? number extends L[number]['length']
            ? Loose<F, L[number]>
            : Merge<Op, F, R, X> extends infer M
              ? M extends string
                ? M
                : SetAxes<M, X, SumDims<Column<L, X>>>
              : never
          : Loose<F>
        : never
    : `${Op}: needs at least one tensor`

/** `S` with `D` at axis `A`. */
type Along<Op extends string, S extends Shape, A extends number, D> = [AxisAt<S, A>] extends [never]
  ? OutOfRange<Op, S, A>
  : AxisAt<S, A> extends infer X
    ? X extends string
      ? SetAxes<S, X, D>
      : Loose<S>
    : never

/** Dim `X` of each shape. */
type Column<L extends readonly Shape[], X> = { [I in keyof L]: X extends keyof L[I] ? L[I][X] : never }

/** One shape for all but axis `X`; `M` has grown from the first. */
type Merge<Op extends string, F extends Shape, L, X, M = F> = L extends readonly [
  infer G extends Shape,
  ...infer R,
]
  ? [M, G] extends [G, M]
    ? Merge<Op, F, R, X, M>
    : G['length'] extends F['length']
      ? Both<M, G, X> extends infer N
        ? N extends string
          ? `${Op}: ${N} of ${Show<F>} and ${Show<G>} differ`
          : Merge<Op, F, R, X, N>
        : never
      : `${Op}: ranks of ${Show<F>} and ${Show<G>} differ`
  : M

type Both<A, B, X, O extends readonly unknown[] = []> = [A, B] extends [
  readonly [infer C, ...infer AR],
  readonly [infer D, ...infer BR],
]
  ? `${O['length']}` extends X
    ? Both<AR, BR, X, [...O, C]>
    : Unify<C, D> extends [infer E]
      ? Both<AR, BR, X, [...O, E]>
      : `dims ${C & Dim} and ${D & Dim}`
  : O

/** Shapes of the pieces of a split, by number of equal parts or by sizes; a tuple of up to 64, else an array. */
export type Split<
  Op extends string,
  S extends Shape,
  A extends number,
  P extends number | readonly number[],
> = [AxisAt<S, A>] extends [never]
  ? OutOfRange<Op, S, A>
  : AxisAt<S, A> extends infer X
    ? X extends keyof S & string
      ? [P] extends [number]
        ? EqualParts<Op, S, X, P>
        : P extends readonly number[]
          ? Pieces<Op, S, X, P>
          : SetAxes<S, X, number>[]
      : Loose<S>[]
    : never

type EqualParts<Op extends string, S extends Shape, X extends keyof S, P extends number> =
  PartSize<Op, S, X, P> extends infer D
    ? D extends string
      ? D
      : Kind<P> extends 'size'
        ? Repeat<SetAxes<S, X, D>, P>
        : SetAxes<S, X, number>[]
    : never

/** Size of each of `P` equal pieces of dim `X`. */
export type PartSize<Op extends string, S extends Shape, X extends keyof S, P extends number> =
  Kind<S[X]> extends 'symbol'
    ? `${Op}: symbolic dim ${S[X] & Dim} of ${Show<S>} cannot be split`
    : Kind<P> extends 'size'
      ? P extends 0
        ? `${Op}: cannot split into 0 parts`
        : Kind<S[X]> extends 'size'
          ? DivModDigits<Digits<S[X] & number>, Digits<P>> extends [infer Q extends string, infer R]
            ? R extends '0'
              ? FromDigits<Q>
              : `${Op}: dim ${S[X] & Dim} of ${Show<S>} does not split into ${P} equal parts`
            : never
          : number
      : number

/** `N` times `T` as a tuple where that is cheap. */
type Repeat<T, N extends number> = SubDigits<'46', Digits<N>> extends '-' ? T[] : Times<T, N>
type Times<T, N extends number, O extends readonly unknown[] = []> = O['length'] extends N
  ? O
  : Times<T, N, [...O, T]>

type Pieces<
  Op extends string,
  S extends Shape,
  X extends keyof S,
  P extends readonly number[],
> = number extends P['length']
  ? SetAxes<S, X, number>[]
  : Kind<S[X]> extends 'symbol'
    ? `${Op}: symbolic dim ${S[X] & Dim} of ${Show<S>} cannot be split`
    : Unify<SumDims<P>, S[X]> extends false
      ? `${Op}: sizes ${List<P>} add up to ${SumDims<P> & Dim}, not to dim ${S[X] & Dim} of ${Show<S>}`
      : { -readonly [I in keyof P]: SetAxes<S, X, P[I]> }

/** A slice of one axis, with numpy's clamping; `step` may be negative. */
export type Slice<
  Op extends string,
  S extends Shape,
  A extends number,
  From extends number,
  To extends number,
  Step extends number,
> = [AxisAt<S, A>] extends [never]
  ? OutOfRange<Op, S, A>
  : [Step] extends [0]
    ? `${Op}: step of axis ${A} is 0`
    : AxisAt<S, A> extends infer X
      ? X extends keyof S & string
        ? Kind<S[X]> extends 'size'
          ? SetAxes<S, X, Range<Digits<S[X] & number>, From, To, Step>>
          : SetAxes<S, X, number>
        : Loose<S>
      : never

/** Length of a slice of `N`. Going back, positions are counted one higher, so that "before the first" is 0. */
type Range<N extends string, From extends number, To extends number, Step extends number> =
  | IsUnion<From>
  | IsUnion<To>
  | IsUnion<Step> extends false
  ? [`${From}`, `${To}`, `${Step}`] extends [`${bigint}`, `${bigint}`, `${bigint}`]
    ? `${Step}` extends `-${infer B extends bigint}`
      ? Count<Clamp<N, To, '1'>, Clamp<N, From, '1'>, Digits<B>>
      : Count<Clamp<N, From, ''>, Clamp<N, To, ''>, Digits<Step>>
    : number
  : number

/** Position `I` in 0 … N, `Up` higher. */
type Clamp<
  N extends string,
  I extends number,
  Up extends '' | '1',
> = `${I}` extends `-${infer B extends bigint}`
  ? Positive<SubDigits<AddDigits<N, Up>, Digits<B>>>
  : SubDigits<N, AddDigits<Digits<I>, Up>> extends '-'
    ? N
    : AddDigits<Digits<I>, Up>

type Positive<N extends string> = N extends '-' ? '0' : N

/** `max(0, ⌈(to - from) / step⌉)` */
type Count<From extends string, To extends string, Step extends string> =
  SubDigits<To, From> extends infer L extends string
    ? L extends '-' | '0'
      ? 0
      : DivModDigits<SubDigits<AddDigits<L, Step>, '1'>, Step> extends [infer Q extends string, unknown]
        ? FromDigits<Q>
        : never
    : never

/** Elements around each axis; a number below 0 takes some away. */
export type Pad<
  Op extends string,
  S extends Shape,
  B extends readonly number[],
  A extends readonly number[],
> = number extends S['length'] | B['length'] | A['length']
  ? Loose<S>
  : [B['length'], A['length']] extends [S['length'], S['length']]
    ? Grow<S, B, A> extends infer R
      ? R extends false
        ? `${Op}: before ${List<B>} and after ${List<A>} remove more of ${Show<S>} than it has`
        : R
      : never
    : `${Op}: before ${List<B>} and after ${List<A>} must be one number for each axis of ${Show<S>}`

/** `false` where more is taken away than there is. */
type Grow<S, B, A, O extends readonly unknown[] = []> = [S, B, A] extends [
  readonly [infer D, ...infer SR],
  readonly [infer Low extends number, ...infer BR],
  readonly [infer High extends number, ...infer AR],
]
  ? Grown<D, Low, High> extends infer N
    ? N extends false
      ? false
      : Grow<SR, BR, AR, [...O, N]>
    : never
  : O

type Grown<D, Low extends number, High extends number> = [Signed<Low>, Signed<High>] extends [
  [infer P extends string, infer N extends string],
  [infer Q extends string, infer M extends string],
]
  ? Kind<D> extends 'size'
    ? SubDigits<AddDigits<Digits<D & number>, AddDigits<P, Q>>, AddDigits<N, M>> extends infer L extends
        string
      ? L extends '-'
        ? false
        : FromDigits<L>
      : never
    : AddDigits<N, M> extends '0'
      ? SumDims<[D, Low, High]>
      : number
  : number

/** Digits of what a whole number adds and takes away. */
type Signed<I extends number> =
  IsUnion<I> extends true
    ? 0
    : `${I}` extends `-${infer N extends bigint}`
      ? ['0', Digits<N>]
      : `${I}` extends `${bigint}`
        ? [Digits<I>, '0']
        : 0
