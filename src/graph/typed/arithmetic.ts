/**
 * Exact arithmetic on number literal types, for dims: decimal digits in strings, least significant digit first ("lsf"),
 * one table lookup per digit. A few hundred instantiations per operation, whatever the numbers; equal operations are
 * free. Counting with tuple lengths costs more and stops at 10 000.
 */

type Digit = '0' | '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8' | '9'
type Bit = '0' | '1'

// Row n of S and C: unit and carry of n + 0 … n + 9.
type S0 = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']
type S1 = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '0']
type S2 = ['2', '3', '4', '5', '6', '7', '8', '9', '0', '1']
type S3 = ['3', '4', '5', '6', '7', '8', '9', '0', '1', '2']
type S4 = ['4', '5', '6', '7', '8', '9', '0', '1', '2', '3']
type S5 = ['5', '6', '7', '8', '9', '0', '1', '2', '3', '4']
type S6 = ['6', '7', '8', '9', '0', '1', '2', '3', '4', '5']
type S7 = ['7', '8', '9', '0', '1', '2', '3', '4', '5', '6']
type S8 = ['8', '9', '0', '1', '2', '3', '4', '5', '6', '7']
type S9 = ['9', '0', '1', '2', '3', '4', '5', '6', '7', '8']
type C0 = ['0', '0', '0', '0', '0', '0', '0', '0', '0', '0']
type C1 = ['0', '0', '0', '0', '0', '0', '0', '0', '0', '1']
type C2 = ['0', '0', '0', '0', '0', '0', '0', '0', '1', '1']
type C3 = ['0', '0', '0', '0', '0', '0', '0', '1', '1', '1']
type C4 = ['0', '0', '0', '0', '0', '0', '1', '1', '1', '1']
type C5 = ['0', '0', '0', '0', '0', '1', '1', '1', '1', '1']
type C6 = ['0', '0', '0', '0', '1', '1', '1', '1', '1', '1']
type C7 = ['0', '0', '0', '1', '1', '1', '1', '1', '1', '1']
type C8 = ['0', '0', '1', '1', '1', '1', '1', '1', '1', '1']
type C9 = ['0', '1', '1', '1', '1', '1', '1', '1', '1', '1']
type C10 = ['1', '1', '1', '1', '1', '1', '1', '1', '1', '1']

/** Unit and carry of `carry + a + b`. */
type Sum = { '0': [S0, S1, S2, S3, S4, S5, S6, S7, S8, S9]; '1': [S1, S2, S3, S4, S5, S6, S7, S8, S9, S0] }
type Carry = { '0': [C0, C1, C2, C3, C4, C5, C6, C7, C8, C9]; '1': [C1, C2, C3, C4, C5, C6, C7, C8, C9, C10] }

/** Units of `a * b`. */
type Units = [
  ['0', '0', '0', '0', '0', '0', '0', '0', '0', '0'],
  ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
  ['0', '2', '4', '6', '8', '0', '2', '4', '6', '8'],
  ['0', '3', '6', '9', '2', '5', '8', '1', '4', '7'],
  ['0', '4', '8', '2', '6', '0', '4', '8', '2', '6'],
  ['0', '5', '0', '5', '0', '5', '0', '5', '0', '5'],
  ['0', '6', '2', '8', '4', '0', '6', '2', '8', '4'],
  ['0', '7', '4', '1', '8', '5', '2', '9', '6', '3'],
  ['0', '8', '6', '4', '2', '0', '8', '6', '4', '2'],
  ['0', '9', '8', '7', '6', '5', '4', '3', '2', '1'],
]

/** Tens of `a * b`. */
type Tens = [
  ['0', '0', '0', '0', '0', '0', '0', '0', '0', '0'],
  ['0', '0', '0', '0', '0', '0', '0', '0', '0', '0'],
  ['0', '0', '0', '0', '0', '1', '1', '1', '1', '1'],
  ['0', '0', '0', '0', '1', '1', '1', '2', '2', '2'],
  ['0', '0', '0', '1', '1', '2', '2', '2', '3', '3'],
  ['0', '0', '1', '1', '2', '2', '3', '3', '4', '4'],
  ['0', '0', '1', '1', '2', '3', '3', '4', '4', '5'],
  ['0', '0', '1', '2', '2', '3', '4', '4', '5', '6'],
  ['0', '0', '1', '2', '3', '4', '4', '5', '6', '7'],
  ['0', '0', '1', '2', '3', '4', '5', '6', '7', '8'],
]

/** 9 minus a digit. */
type Nines = ['9', '8', '7', '6', '5', '4', '3', '2', '1', '0']

type Reverse<S extends string, O extends string = ''> = S extends `${infer C}${infer R}`
  ? Reverse<R, `${C}${O}`>
  : O

/** Digits of a whole number, least significant first. */
export type Digits<N extends number | bigint> = Reverse<`${N}`>

/** The number with these digits; `number` where a double cannot hold it. */
export type FromDigits<S extends string> = Reverse<S> extends `${infer N extends number}` ? N : never

export type AddDigits<
  A extends string,
  B extends string,
  K extends Bit = '0',
  O extends string = '',
> = A extends `${infer X extends Digit}${infer AR}`
  ? B extends `${infer Y extends Digit}${infer BR}`
    ? AddDigits<AR, BR, Carry[K][X][Y], `${O}${Sum[K][X][Y]}`>
    : K extends '0'
      ? `${O}${A}`
      : AddDigits<AR, '', Carry[K][X]['0'], `${O}${Sum[K][X]['0']}`>
  : B extends ''
    ? K extends '0'
      ? O
      : `${O}1`
    : AddDigits<B, '', K, O>

/** `a - b` by adding the nines' complement (K is 1 while nothing is borrowed); `'-'` where it is negative. */
type Subtract<
  A extends string,
  B extends string,
  K extends Bit = '1',
  O extends string = '',
> = A extends `${infer X extends Digit}${infer AR}`
  ? B extends `${infer Y extends Digit}${infer BR}`
    ? Subtract<AR, BR, Carry[K][X][Nines[Y]], `${O}${Sum[K][X][Nines[Y]]}`>
    : K extends '1'
      ? `${O}${A}`
      : Subtract<AR, '', Carry[K][X]['9'], `${O}${Sum[K][X]['9']}`>
  : `${B}${K}` extends '1'
    ? O
    : '-'

/** Without leading zeros, which stand at the end here. */
type Trim<S extends string> = S extends '0' ? S : S extends `${infer R}0` ? Trim<R> : S

/** `a - b` without leading zeros; `'-'` where it is negative. */
export type SubDigits<A extends string, B extends string> = Trim<Subtract<A, B>>

type Scale<
  A extends string,
  Y extends Digit,
  K extends Digit = '0',
  O extends string = '',
> = A extends `${infer X extends Digit}${infer R}`
  ? Scale<R, Y, Sum[Carry['0'][Units[X][Y]][K]][Tens[X][Y]]['0'], `${O}${Sum['0'][Units[X][Y]][K]}`>
  : K extends '0'
    ? O
    : `${O}${K}`

type Schoolbook<
  A extends string,
  B extends string,
  P extends string = '',
  O extends string = '',
> = B extends `${infer Y extends Digit}${infer R}`
  ? AddDigits<P, Scale<A, Y>> extends `${infer U}${infer H}`
    ? Schoolbook<A, R, H, `${O}${U}`>
    : never
  : `${O}${P}`

export type MulDigits<A extends string, B extends string> = A extends '0' | '1'
  ? A extends '0'
    ? A
    : B
  : B extends '0' | '1'
    ? B extends '0'
      ? B
      : A
    : Schoolbook<A, B>

/** How often `b` fits into `r < 10 b`, and what is left. */
type Fits<R extends string, B extends string, Q extends Digit = '0'> =
  Subtract<R, B> extends infer L extends string
    ? L extends '-'
      ? [Q, R]
      : Fits<L, B, Sum['1'][Q]['0']>
    : never

type LongDivision<
  A extends string,
  B extends string,
  R extends string = '',
  Q extends string = '',
> = A extends `${infer X}${infer AR}`
  ? Fits<`${X}${R}`, B> extends [infer Y extends string, infer L extends string]
    ? LongDivision<AR, B, L, `${Y}${Q}`>
    : never
  : [Trim<Q>, Trim<R>]

/** `[quotient, remainder]` of `a / b`, `b > 0`. */
export type DivModDigits<A extends string, B extends string> = B extends '1'
  ? [A, '0']
  : LongDivision<Reverse<A>, B>
