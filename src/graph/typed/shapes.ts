import type { Dim, Shape } from '../shape.ts'
import type { DivModDigits } from './arithmetic.ts'
import type { AllFactors, FromTally, Kind, List, Show, Stretch, Tally, Unify, Unknown } from './dims.ts'

/**
 * The rules of `../shape.ts` for the compiler. Each type is the resulting shape, or the message that the run time
 * would throw as a string literal: a shape is never a string. It may know less than the run time, never differ.
 */

/**
 * A checked argument of type `T`: `R` is the result of a shape rule; its message takes the place of `T`. In brackets, for
 * TypeScript would otherwise unroll recursive rules without end while it infers.
 */
export type Arg<R, T> = 0 extends 1 & R ? T : [R] extends [infer M extends string] ? M : T

/**
 * The shape that a rule gives; after a mistake `any`, so that one mistake is one error. It is looked up rather than
 * chosen by a condition because TypeScript would infer operands from the expected result through a condition.
 */
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Out<R> = { ok: R; mistake: any }[R extends string ? 'mistake' : 'ok']

/** What an operand of unknown rank gives: the escape type `any` stays what it is. */
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Loose<A, B = 0> = 0 extends 1 & A ? any : 0 extends 1 & B ? any : Dim[]

/** Aligns shapes at the right; a string names the two dims that do not fit. */
export type Zip<A, B, O extends readonly unknown[] = []> = A extends readonly [...infer AR, infer X]
  ? B extends readonly [...infer BR, infer Y]
    ? Stretch<X, Y> extends [infer D]
      ? Zip<AR, BR, [D, ...O]>
      : `dims ${X & Dim} and ${Y & Dim}`
    : [...A, ...O]
  : B extends readonly unknown[]
    ? [...B, ...O]
    : never

/** Not a tuple in the condition itself, which would wait for type parameters to be known. */
type Pair<A, B> = [A, B]

/** Numpy broadcasting. */
export type Broadcast<Op extends string, A extends Shape, B extends Shape> =
  Pair<A, B> extends Pair<B, A>
    ? A | B
    : number extends A['length'] | B['length']
      ? Loose<A, B>
      : Zip<A, B> extends infer R
        ? R extends string
          ? `${Op}: ${R} of ${Show<A>} and ${Show<B>} do not broadcast`
          : R
        : never

/** Leading dims, rows and inner dim of a left operand. */
type Left<A> = A extends readonly [...infer L, infer M, infer K]
  ? [L, [M], K]
  : A extends readonly [infer K]
    ? [[], [], K]
    : 0

/** Leading dims, columns and inner dim of a right operand. */
type Right<B> = B extends readonly [...infer L, infer K, infer N]
  ? [L, [N], K]
  : B extends readonly [infer K]
    ? [[], [], K]
    : 0

/** numpy.matmul: 1-D operands gain and lose a dim, leading dims broadcast. */
export type MatMul<Op extends string, A extends Shape, B extends Shape> = number extends
  | A['length']
  | B['length']
  ? Loose<A, B>
  : [Left<A>, Right<B>] extends [
        [infer AL, infer M extends unknown[], infer K],
        [infer BL, infer N extends unknown[], infer L],
      ]
    ? Unify<K, L> extends false
      ? `${Op}: inner dims ${K & Dim} and ${L & Dim} of ${Show<A>} and ${Show<B>} differ`
      : Zip<AL, BL> extends infer R
        ? R extends string
          ? `${Op}: leading ${R} of ${Show<A>} and ${Show<B>} do not broadcast`
          : R extends readonly unknown[]
            ? [...R, ...M, ...N]
            : never
        : never
    : `${Op}: operands ${Show<A>} and ${Show<B>} need at least 1 dim`

/** `reshape(x, target)`: equal factors of both sides cancel, the products of what is left must be equal. */
export type Reshape<Op extends string, S extends Shape, T extends Shape> = number extends T['length']
  ? Loose<T>
  : AllFactors<T, '-1'> extends [infer W, infer H extends string]
    ? H extends `--${string}`
      ? `${Op}: ${Show<T, '-1'>} has more than one -1`
      : number extends S['length']
        ? Fill<T, number>
        : AllFactors<S> extends [infer F, string]
          ? Cancel<F, W> extends [infer X, infer Y]
            ? Fit<H, Tally<X>, Tally<Y>> extends infer D
              ? D extends false
                ? `${Op}: ${Show<S>} does not fit into ${Show<T, '-1'>}`
                : Fill<T, D>
              : never
            : never
          : Fill<T, number>
    : Fill<T, number>

/** `T` with `D` for -1. */
type Fill<T, D> = { -readonly [I in keyof T]: T[I] extends -1 ? D : T[I] }

/** Factors of both sides without those that both have. Zeros stay: they make the whole product 0. */
type Cancel<F, W, O extends readonly unknown[] = []> = W extends readonly [infer X, ...infer R]
  ? X extends 0
    ? Cancel<F, R, [...O, X]>
    : Without<F, X> extends infer G extends readonly unknown[]
      ? Cancel<G, R, O>
      : Cancel<F, R, [...O, X]>
  : [F, O]

type Without<F, X, O extends readonly unknown[] = []> = F extends readonly [infer Y, ...infer R]
  ? Y extends X
    ? [...O, ...R]
    : Without<R, X, [...O, Y]>
  : 0

/** The dim of the hole if any, else `unknown`; `false` where the sides certainly differ. */
type Fit<H extends string, X, Y> = [X, Y] extends [
  [infer N extends string, infer A extends readonly string[]],
  [infer M extends string, readonly []],
]
  ? H extends ''
    ? [A, N] extends [[], M]
      ? unknown
      : Mismatch<N, M>
    : M extends '0'
      ? false
      : DivModDigits<N, M> extends [infer Q extends string, infer R]
        ? R extends '0'
          ? FromTally<Q, A>
          : A extends []
            ? Mismatch<N, M>
            : number
        : never
  : false

/** Beyond 15 digits the run time rounds: nothing is certain. */
type Mismatch<N extends string, M extends string> = Long<N> | Long<M> extends false ? false : number

type Long<N extends string> =
  N extends `${infer _1}${infer _2}${infer _3}${infer _4}${infer _5}${infer _6}${infer _7}${infer _8}${infer L}`
    ? L extends `${infer _1}${infer _2}${infer _3}${infer _4}${infer _5}${infer _6}${infer _7}${infer _8}${string}`
      ? true
      : false
    : false

/** `transpose(x, perm)`. */
export type Transpose<Op extends string, S extends Shape, P extends readonly number[]> = number extends
  | S['length']
  | P['length']
  | P[number]
  ? Loose<S>
  : S extends Shape
    ? P extends readonly number[]
      ? [S['length'], Exclude<keyof S, keyof unknown[]>] extends [P['length'], `${P[number]}`]
        ? { -readonly [I in keyof P]: P[I] extends number ? S[P[I]] : never }
        : `${Op}: ${List<P>} is not a permutation of the ${S['length']} axes of ${Show<S>}`
      : never
    : never

/** `expand(x, target)`: broadcasting that must give exactly the target. */
export type Expand<Op extends string, S extends Shape, T extends Shape> = number extends
  | S['length']
  | T['length']
  ? Loose<S, T>
  : Grow<S, Fill<T, number>> extends infer R
    ? R extends false
      ? `${Op}: ${Show<S>} does not expand to ${Show<T>}`
      : R
    : never

type Grow<S, T, O extends readonly unknown[] = []> = S extends readonly [...infer SR, infer X]
  ? T extends readonly [...infer TR, infer Y]
    ? [X] extends [1]
      ? Grow<SR, TR, [Y, ...O]>
      : Unify<X, Y> extends [infer D]
        ? Grow<SR, TR, [Kind<X> extends Unknown ? Y : D, ...O]>
        : false
    : false
  : T extends readonly unknown[]
    ? [...T, ...O]
    : never
