import type { DType } from './dtype.ts'

/** Where a sample input's values are drawn from. */
export type Domain =
  | 'normal'
  | 'positive'
  | 'distinct'
  | 'unit'
  | { readonly below: number }
  | { readonly least: number; readonly most: number }

/** An input of a sample. */
export interface SampleInput {
  /** Element type. */
  readonly dtype: DType
  /** Sizes of its axes. */
  readonly shape: readonly number[]
  /** What its values are drawn from. */
  readonly domain: Domain
  /** Values above zero. */
  readonly positive: () => SampleInput
  /** Values that keep clear of ties and of zero, where an op has a kink. */
  readonly distinct: () => SampleInput
  /** Values between -1 and 1. */
  readonly unit: () => SampleInput
  /** Values between two bounds; integers are cut off towards zero. */
  readonly between: (least: number, most: number) => SampleInput
}

/** Attributes of an op, by name. */
export type Attributes = Readonly<Record<string, unknown>>

/** Inputs and attributes to test an op with; made by `sample`. */
export interface Sample<A extends Attributes = Attributes, X = readonly SampleInput[]> {
  /** In the order of the op. */
  readonly inputs: X
  /** By name. */
  readonly attrs: A
}

const input = (dtype: DType, shape: readonly number[], domain: Domain): SampleInput => ({
  dtype,
  shape,
  domain,
  positive: () => input(dtype, shape, 'positive'),
  distinct: () => input(dtype, shape, 'distinct'),
  unit: () => input(dtype, shape, 'unit'),
  between: (least, most) => input(dtype, shape, { least, most }),
})

/** A float32 sample input of standard normal values. */
export const f32 = (...shape: number[]): SampleInput => input('float32', shape, 'normal')
/** An int64 sample input of values in [0, below). */
export const i64 = (below: number, ...shape: number[]): SampleInput => input('int64', shape, { below })
/** A sample input of any dtype, of values in [0, below). */
export const whole = (dtype: DType, below: number, ...shape: number[]): SampleInput =>
  input(dtype, shape, { below })
/** A bool sample input, true and false alike often. */
export const bool = (...shape: number[]): SampleInput => input('bool', shape, { below: 2 })

/** What an op is tested with: its inputs and, at last, its attributes. */
export function sample<X extends readonly SampleInput[]>(...inputs: X): Sample<Record<never, never>, X>
export function sample<X extends readonly SampleInput[], const A extends Attributes>(
  ...args: [...inputs: X, attrs: A]
): Sample<A, X>
export function sample(...args: readonly (SampleInput | Attributes)[]): Sample {
  const isInput = (a: SampleInput | Attributes): a is SampleInput => 'domain' in a && 'dtype' in a
  return { inputs: args.filter(isInput), attrs: args.find((a): a is Attributes => !isInput(a)) ?? {} }
}
