import type { DType } from './dtype.ts'

/** Where a sample input's values are drawn from. */
export type Domain = 'normal' | 'positive' | 'distinct' | 'unit' | { readonly below: number }

export interface SampleInput {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly domain: Domain
  readonly positive: () => SampleInput
  /** Values that keep clear of ties and of zero, where an op has a kink. */
  readonly distinct: () => SampleInput
  readonly unit: () => SampleInput
}

/** Attributes of an op, by name. */
type Attributes = Readonly<Record<string, unknown>>

export interface Sample<A extends Attributes = Attributes> {
  readonly inputs: readonly SampleInput[]
  readonly attrs: A
}

const input = (dtype: DType, shape: readonly number[], domain: Domain): SampleInput => ({
  dtype,
  shape,
  domain,
  positive: () => input(dtype, shape, 'positive'),
  distinct: () => input(dtype, shape, 'distinct'),
  unit: () => input(dtype, shape, 'unit'),
})

/** A float32 sample input of standard normal values. */
export const f32 = (...shape: number[]): SampleInput => input('float32', shape, 'normal')
/** An int64 sample input of values in [0, below). */
export const i64 = (below: number, ...shape: number[]): SampleInput => input('int64', shape, { below })
export const bool = (...shape: number[]): SampleInput => input('bool', shape, { below: 2 })

export function sample(...inputs: SampleInput[]): Sample<Record<never, never>>
export function sample<const A extends Attributes>(...args: [...SampleInput[], A]): Sample<A>
export function sample(...args: (SampleInput | Attributes)[]): Sample {
  const inputs = args.filter((a): a is SampleInput => 'domain' in a && 'dtype' in a)
  const last = args.at(-1)
  return { inputs, attrs: last && !inputs.includes(last as SampleInput) ? (last as Attributes) : {} }
}
