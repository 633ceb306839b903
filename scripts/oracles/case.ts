import type { SafeTensor } from '../../src/export/safetensors.ts'
import type { TypedArray } from '../../src/graph/array.ts'
import type { Runtime } from '../../src/runtime/session.ts'

/** One file of reference values. */
export interface OracleCase {
  /** Name of the case, such as `adam_l2`. */
  readonly name: string
  readonly tensors: Readonly<Record<string, SafeTensor>>
  readonly metadata: Readonly<Record<string, string>>
  /** What the file calls its attributes; {@link unread} tells which of them nobody asked for. */
  readonly attrs: Attrs
  readonly unread: () => string[]
}

/** Attributes of a case, of every kind that the files have; which ones a case has depends on its op. */
export interface Attrs {
  readonly alpha?: number
  readonly approximate?: 'none' | 'tanh'
  readonly axes?: readonly number[]
  readonly axis?: number
  readonly betas?: readonly [number, number]
  readonly causal?: boolean
  readonly dilation?: number
  readonly ends?: readonly number[]
  readonly eps?: number
  readonly exponent?: number
  readonly gamma?: number
  readonly groups?: number
  readonly ignore_index?: number
  readonly keepdims?: boolean
  readonly kernel?: number
  readonly label_smoothing?: number
  readonly lr?: number
  readonly max?: number
  readonly max_lr?: number
  readonly min?: number
  readonly momentum?: number
  readonly nesterov?: boolean
  readonly normalized_shape?: readonly number[]
  readonly padding?: number
  readonly pads_last_dims_first?: readonly number[]
  readonly perm?: readonly number[]
  readonly schedule?: string
  readonly shape?: readonly number[]
  readonly sizes?: readonly number[]
  readonly starts?: readonly number[]
  readonly step_size?: number
  readonly steps?: readonly number[] | number
  readonly stride?: number
  readonly target?: string
  readonly training?: boolean
  readonly weight_decay?: number
}

/** How far a result may be from its reference. */
export interface Comparison {
  readonly what: string
  readonly error: number
  readonly limit: number
}

export type Outcome = { readonly skipped: string } | { readonly comparisons: readonly Comparison[] }

/** How the cases of one folder are computed. */
export type Check = (c: OracleCase, runtime: Runtime) => Promise<Outcome>

type Numbers = TypedArray | readonly number[]

/**
 * Relative error of a tensor: max |a − b| / max |b|, the largest difference as a share of the reference's largest
 * element (absolute where the reference is all zeros); infinite for NaN and for another number of elements.
 */
export function relativeError(got: Numbers, want: Numbers): number {
  let top = 0
  for (const v of want) top = Math.max(top, Math.abs(Number(v)))
  return absoluteError(got, want) / (top || 1)
}

/** max |a − b|. */
export function absoluteError(got: Numbers, want: Numbers): number {
  if (got.length !== want.length) return Number.POSITIVE_INFINITY
  let worst = 0
  for (let i = 0; i < want.length; i++) {
    const difference = Math.abs(Number(got[i]) - Number(want[i]))
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference
  }
  return worst
}

/** Entries of a record whose names start with `prefix`, without it. */
export const withPrefix = <T>(record: Readonly<Record<string, T>>, prefix: string): [string, T][] =>
  Object.entries(record).flatMap(([name, value]) =>
    name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
  )

/** Only the options that are given, so that our own defaults are compared too. */
export const given = <T extends object>(options: T): { [K in keyof T]: NonNullable<T[K]> } =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: NonNullable<T[K]>
  }
