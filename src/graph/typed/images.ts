import type { Pair } from '../images.ts'
import type { Dim, Shape } from '../shape.ts'
import type { AddDigits, Digits, DivModDigits, FromDigits, MulDigits, SubDigits } from './arithmetic.ts'
import type { Divides } from './config.ts'
import type { IsUnion, Kind, List, ProductDims, Show, Unify } from './dims.ts'
import type { SameAs } from './layers.ts'
import type { PartSize } from './pieces.ts'
import type { Loose } from './shapes.ts'

/** The rules of `../images.ts` for the compiler. `O` is the type of the options that a caller wrote. */

/** `[vertical, horizontal]` of an option; `number` for what is not known. */
type PairOf<V> = 0 extends 1 & V
  ? [number, number]
  : IsUnion<V> extends true
    ? [number, number]
    : V extends number
      ? [V, V]
      : V extends readonly [infer A extends number, infer B extends number]
        ? [A, B]
        : [number, number]

/** An option, `Default` where it is left out. Nothing is known of options that may be either of two objects. */
export type Option<O, K extends string, Default> = 0 extends 1 & O
  ? number
  : IsUnion<O> extends true
    ? number
    : K extends keyof O
      ? [O[K]] extends [undefined]
        ? Default
        : O[K]
      : Default

/** How many places a window has along a dim of `N`; `false` where it certainly does not fit. */
type Places<N, K extends number, S extends number, P extends number, L extends number> =
  | Kind<K>
  | Kind<P>
  | Kind<L> extends 'size'
  ? Kind<N> extends 'size'
    ? Room<SubDigits<Padded<Digits<N & number>, P>, Span<K, L>>, S>
    : [Kind<N>, S, Padded<'1', P>] extends ['symbol', 1, Span<K, L>]
      ? N
      : number
  : number

/** `n + 2 p` */
type Padded<N extends string, P extends number> = P extends 0
  ? N
  : AddDigits<N, AddDigits<Digits<P>, Digits<P>>>

/** From the first to the last element that a window sees: `l (k - 1) + 1`. */
type Span<K extends number, L extends number> = L extends 1
  ? Digits<K>
  : K extends 0
    ? '1'
    : AddDigits<MulDigits<Digits<L>, SubDigits<Digits<K>, '1'>>, '1'>

/** Places of a window that can move by `R` in steps of `S`. */
type Room<R extends string, S extends number> = R extends '-'
  ? false
  : Kind<S> extends 'size'
    ? S extends 0
      ? number
      : FromDigits<AddDigits<Steps<R, S>, '1'>>
    : number

/** `⌊r / s⌋`. Half of r is 5 r without its last digit, which is far less work than a division. */
type Steps<R extends string, S extends number> = S extends 1
  ? R
  : S extends 2
    ? MulDigits<R, '5'> extends `${infer _}${infer Q}`
      ? Q extends ''
        ? '0'
        : Q
      : never
    : DivModDigits<R, Digits<S>>[0]

/** Places along both dims, or a message. */
type WindowDims<Op extends string, X extends readonly unknown[], K, S, P, L> = [
  X,
  PairOf<K>,
  PairOf<S>,
  PairOf<P>,
  PairOf<L>,
] extends [
  readonly [unknown, unknown, infer H, infer W],
  [infer K0 extends number, infer K1 extends number],
  [infer S0 extends number, infer S1 extends number],
  [infer P0 extends number, infer P1 extends number],
  [infer L0 extends number, infer L1 extends number],
]
  ? [Places<H, K0, S0, P0, L0>, Places<W, K1, S1, P1, L1>] extends infer R
    ? false extends R[number & keyof R]
      ? `${Op}: kernel ${List<[K0, K1]>} does not fit into ${Show<X>} with padding ${List<[P0, P1, P0, P1]>} and dilation ${List<[L0, L1]>}`
      : R
    : never
  : never

/** The message for a number of an option that is certainly not whole or less than `Least`. */
type Whole<Op extends string, What extends string, V, Least extends 0 | 1> =
  PairOf<V> extends [infer A extends number, infer B extends number]
    ? IsWrong<A, Least> extends true
      ? `${Op}: ${What} must be whole and at least ${Least}, not ${A}`
      : IsWrong<B, Least> extends true
        ? `${Op}: ${What} must be whole and at least ${Least}, not ${B}`
        : 0
    : 0

type IsWrong<A extends number, Least> = (number extends A ? true : IsUnion<A>) extends true
  ? false
  : `${A}` extends `-${string}` | `${bigint}.${bigint}`
    ? true
    : [A, Least] extends [0, 1]
      ? true
      : false

/**
 * What options `O` must be: those of `Known`, with a message in place of one that is wrong. This is the constraint of `O`
 * and not the type of the argument: from that TypeScript would infer only one of two objects that options may be.
 */
export type CheckOptions<Op extends string, O, Known> = {
  readonly [K in keyof O]: K extends keyof Known
    ? CheckOption<Op, K, O[K], Known[K]>
    : `${Op} has no such option`
}

/** An argument of options `O`. The other member of the union takes no value; editors complete from it. */
export type Options<O, Check, Known> = O | ([O] extends [Check] ? Known & { readonly [hint]: never } : never)

declare const hint: unique symbol

type CheckOption<Op extends string, K, V, T> = K extends 'padding' | 'stride' | 'dilation'
  ? Whole<Op, K, V, K extends 'padding' ? 0 : 1> extends infer M extends string
    ? M
    : T
  : T

/** A batch of images. */
export type Images<Op extends string, X extends Shape> = number extends X['length']
  ? Loose<X>
  : X['length'] extends 4
    ? X
    : `${Op}: takes [n, channels, height, width], not ${Show<X>}`

/** `[n, c, h, w]` → `[n, c]`. */
export type GlobalPool<Op extends string, X extends Shape> =
  Images<Op, X> extends infer R
    ? R extends readonly [infer N, infer C, unknown, unknown]
      ? [N, C]
      : R
    : never

/** `[n, c, h, w]` → `[n, c, h', w']`; the stride is the kernel where none is given. */
export type Pool<Op extends string, X extends Shape, K extends Pair, O> = number extends X['length']
  ? Loose<X>
  : X extends readonly [infer N, infer C, unknown, unknown]
    ? Whole<Op, 'kernel', K, 1> extends infer M extends string
      ? M
      : WindowDims<
            Op,
            X,
            K,
            Option<O, 'stride', K>,
            Option<O, 'padding', 0>,
            Option<O, 'dilation', 1>
          > extends infer R
        ? R extends readonly unknown[]
          ? [N, C, ...R]
          : R
        : never
    : Images<Op, X>

/** A convolution of `[n, c, h, w]` with `[out, c / groups, kh, kw]`. */
export type Conv2d<Op extends string, X extends Shape, W extends Shape, O> = number extends
  | X['length']
  | W['length']
  ? Loose<X, W>
  : X extends readonly [infer N, infer C, unknown, unknown]
    ? W extends readonly [infer Out, infer C1, infer K0 extends Dim, infer K1 extends Dim]
      ? Grouped<Op, X, W, C, Out, C1, Option<O, 'groups', 1> & number> extends infer M extends string
        ? M
        : WindowDims<
              Op,
              X,
              [Known<K0>, Known<K1>],
              Option<O, 'stride', 1>,
              Option<O, 'padding', 0>,
              Option<O, 'dilation', 1>
            > extends infer R
          ? R extends readonly unknown[]
            ? [N, Out, ...R]
            : R
          : never
      : `${Op}: takes a weight [out, channels, height, width], not ${Show<W>}`
    : Images<Op, X>

type Known<D extends Dim> = D extends number ? D : number

/** The message for channels that do not fit a weight in `G` groups. */
type Grouped<Op extends string, X, W, C, Out, C1, G extends number> =
  Unify<C, [G] extends [1] ? C1 : ProductDims<[C1, G]>> extends false
    ? `${Op}: ${C & Dim} channels of ${Show<X>} do not fit the weight ${Show<W>} in ${G} groups`
    : [G] extends [1]
      ? 0
      : Out extends number
        ? Divides<G, Out> extends false
          ? `${Op}: ${Out} output channels of the weight ${Show<W>} are not divisible by groups ${G}`
          : 0
        : 0

/** At least the dims `[n, c]`. */
export type HasChannels<Op extends string, X extends Shape> = number extends X['length']
  ? Loose<X>
  : X extends readonly [unknown, unknown, ...unknown[]]
    ? X
    : `${Op}: takes [n, channels, ...], not ${Show<X>}`

/** `V` where it may have one number for each channel of `[n, c, ...]`. */
export type PerChannel<Op extends string, What extends string, X extends Shape, V extends Shape> =
  HasChannels<Op, X> extends infer M extends string
    ? M
    : number extends X['length']
      ? V
      : SameAs<V, [X[1]]> extends false
        ? `${Op}: ${What} ${Show<V>} does not fit the channels of ${Show<X>}`
        : V

/** The size of each of `G` groups of channels. */
export type ChannelsPerGroup<Op extends string, X extends Shape, G extends number> =
  HasChannels<Op, X> extends infer M extends string
    ? M
    : number extends X['length']
      ? number
      : PartSize<Op, X, '1' & keyof X, G>

/** `X` where channels, groups and the weight of a group norm fit each other. */
export type GroupNorm<Op extends string, X extends Shape, G extends number, V extends Shape> =
  ChannelsPerGroup<Op, X, G> extends infer M extends string
    ? M
    : PerChannel<Op, 'weight', X, V> extends infer N extends string
      ? N
      : X
