import { UserError } from './errors.ts'

/** A 64-bit integer: a number if that is exact, otherwise a bigint. */
export type Int64 = number | bigint

/** The form of an integer that {@link Int64} prescribes. */
export function exact(value: bigint): Int64 {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/** The integer that a number stands for, without its fraction. @throws UserError when it does not fit in 64 bits */
export function toInt64(value: Int64): bigint {
  const whole = typeof value === 'bigint' ? value : Number.isFinite(value) ? BigInt(Math.trunc(value)) : null
  if (whole === null || BigInt.asIntN(64, whole) !== whole)
    throw new UserError(`${whole ?? value} does not fit in int64`)
  return whole
}

/** The nearest exact number: for positions in an axis, which are never that large. */
export const saturated = (value: Int64): number =>
  Math.min(Math.max(Number(value), Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER)
