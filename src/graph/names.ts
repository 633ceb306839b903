/** Names of an op's inputs or outputs, in order: `'B?'` may be left out, `'...inputs'` stands for one or more. */
export type Names = readonly string[]

/** What a rule reads: a `T` for each name, undefined where an optional one is left out. */
export type Each<N extends Names, T> = number extends N['length']
  ? readonly (T | undefined)[]
  : N extends readonly [`...${string}`]
    ? readonly [T, ...T[]]
    : N extends readonly [`${string}?`, ...infer R extends Names]
      ? readonly [T?, ...Each<R, T>]
      : N extends readonly [string, ...infer R extends Names]
        ? readonly [T, ...Each<R, T>]
        : readonly []

/** What a rule returns, or an op is given: a `T` for each name, optional ones left out or not. */
export type Given<N extends Names, T> = number extends N['length']
  ? readonly T[]
  : N extends readonly [`...${string}`]
    ? readonly T[]
    : N extends readonly [`${string}?`, ...infer R extends Names]
      ? readonly [] | readonly [T, ...Given<R, T>]
      : N extends readonly [string, ...infer R extends Names]
        ? readonly [T, ...Given<R, T>]
        : readonly []

/** How many tensors the names stand for. */
export function countOf(names: Names): { readonly least: number; readonly most: number } {
  const variadic = names.some(name => name.startsWith('...'))
  return {
    least: names.filter(name => !name.endsWith('?')).length,
    most: variadic ? Number.POSITIVE_INFINITY : names.length,
  }
}
