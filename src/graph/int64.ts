import { UserError } from './errors.ts'

/** A 64-bit integer, with or without sign: a number if that is exact, otherwise a bigint. */
export type Int64 = number | bigint

/** The form of an integer that {@link Int64} prescribes. */
export function exact(value: bigint): Int64 {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

/** The integer that a number stands for, without its fraction. @throws UserError when it does not fit in the 64 bits of the dtype */
export function toInt64(value: Int64, dtype: 'int64' | 'uint64' = 'int64'): bigint {
  const whole = typeof value === 'bigint' ? value : Number.isFinite(value) ? BigInt(Math.trunc(value)) : null
  const wrap = dtype === 'int64' ? BigInt.asIntN : BigInt.asUintN
  if (whole === null || wrap(64, whole) !== whole)
    throw new UserError(`${whole ?? value} does not fit in ${dtype}`)
  return whole
}

/** The nearest exact number: for positions in an axis, which are never that large. */
export const saturated = (value: Int64): number =>
  Math.min(Math.max(Number(value), Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER)
