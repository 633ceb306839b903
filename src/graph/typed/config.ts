import type { Digits, DivModDigits, FromDigits, MulDigits } from './arithmetic.ts'
import type { Kind } from './dims.ts'

/** For types of layers and models that are made from numbers. A number that is not one literal gives `number`. */

type Sizes<A, B, Then> = Kind<A> | Kind<B> extends 'size' ? Then : number

export type Multiply<A extends number, B extends number> = Sizes<
  A,
  B,
  FromDigits<MulDigits<Digits<A>, Digits<B>>>
>

/** `a / b`; `number` where that is no whole number. */
export type Divide<A extends number, B extends number> = B extends 0
  ? number
  : Sizes<A, B, DivModDigits<Digits<A>, Digits<B>>> extends [infer Q extends string, '0']
    ? FromDigits<Q>
    : number

/** `false` when `b` certainly does not divide `a`. */
export type Divides<B extends number, A extends number> = B extends 0
  ? true
  : Sizes<A, B, DivModDigits<Digits<A>, Digits<B>>> extends [string, infer R]
    ? R extends '0'
      ? true
      : false
    : true

/** `C` with the message `M` in place of the type of property `K`, where the compiler then reports it. */
export type Flag<C, K, M extends string> = { readonly [P in keyof C]: P extends K ? M : C[P] }
