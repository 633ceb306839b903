import type { Digits, DivModDigits, FromDigits, MulDigits } from './arithmetic.ts'
import type { Kind } from './dims.ts'

/** For types of layers and models that are made from numbers. A number that is not one literal gives `number`. */

// The arithmetic stands behind the conditions: it would not end for a number that is not known.

export type Multiply<A extends number, B extends number> = Kind<A> | Kind<B> extends 'size'
  ? FromDigits<MulDigits<Digits<A>, Digits<B>>>
  : number

/** Quotient and remainder; 0 where they are not known. */
type Division<A extends number, B extends number> = Kind<A> | Kind<B> extends 'size'
  ? B extends 0
    ? 0
    : DivModDigits<Digits<A>, Digits<B>>
  : 0

/** `a / b`; `number` where that is not a whole number. */
export type Divide<A extends number, B extends number> =
  Division<A, B> extends [infer Q extends string, '0'] ? FromDigits<Q> : number

/** `false` when `b` certainly does not divide `a`. */
export type Divides<B extends number, A extends number> =
  Division<A, B> extends [string, infer R] ? (R extends '0' ? true : false) : true

/** `C` with the message `M` in place of the type of property `K`, where the compiler then reports it. */
export type Flag<C, K, M extends string> = { readonly [P in keyof C]: P extends K ? M : C[P] }
