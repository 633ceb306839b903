/**
 * One extent of a tensor: a size (`64`), a symbol that equals only itself (`'batch'`, ONNX `dim_param`) or, at run
 * time, {@link UNKNOWN}. In types, plain `number` stands for unknown.
 */
export type Dim = number | string
/** Sizes of the axes of a tensor: numbers, and symbols or formulas for sizes that are not known. */
export type Shape = readonly Dim[]

/** A size that only the run time will know. */
export const UNKNOWN = -1

export const show = (shape: Shape): string => `[${shape.map(d => (d === UNKNOWN ? '?' : d)).join(',')}]`

const isLiteral = (text: string): boolean => /^\d+$/.test(text)

/** Symbols and literal factor of a dim: `'batch*17'` is `{ symbols: ['batch'], literal: 17 }`; a sum is one symbol. */
export interface DimFactors {
  readonly symbols: readonly string[]
  readonly literal: number
}

function factors(dim: Dim): DimFactors {
  if (typeof dim === 'number') return { symbols: [], literal: dim }
  if (dim.includes('+')) return { symbols: [dim], literal: 1 }
  const parts = dim.split('*')
  return {
    symbols: parts.filter(part => !isLiteral(part)),
    literal: parts.filter(isLiteral).reduce((n, part) => n * Number(part), 1),
  }
}

/** Factors of a product of known dims. */
export function allFactors(dims: Shape): DimFactors {
  const all = dims.map(factors)
  return { symbols: all.flatMap(f => f.symbols), literal: all.reduce((n, f) => n * f.literal, 1) }
}

/** The dim with these factors. A sum times something is not written, so unknown. */
export function fromFactors({ symbols, literal }: DimFactors): Dim {
  if (literal === 0 || symbols.length === 0) return literal
  const parts = literal === 1 ? symbols : [...symbols, literal]
  return parts.length > 1 && symbols.some(s => s.includes('+')) ? UNKNOWN : parts.join('*')
}

/** Product of dims; symbols from left to right, the literal last: `['batch', 17]` gives `'batch*17'`. */
export const product = (dims: Shape): Dim =>
  dims.includes(UNKNOWN) ? UNKNOWN : fromFactors(allFactors(dims))

/** Sum of dims; symbols are joined with `+`, the literal last: `['past+1', 'seq', 2]` gives `'past+seq+3'`. */
export function sum(dims: Shape): Dim {
  if (dims.includes(UNKNOWN)) return UNKNOWN
  const terms = dims.flatMap(d =>
    typeof d === 'string' ? d.split('+').map(term => (isLiteral(term) ? Number(term) : term)) : d,
  )
  const symbols = terms.filter(term => typeof term === 'string')
  const literal = terms.reduce<number>((n, term) => n + (typeof term === 'number' ? term : 0), 0)
  if (!symbols.length) return literal
  return literal ? `${symbols.join('+')}+${literal}` : symbols.join('+')
}

/** The one dim that two equal dims have; `undefined` when they certainly differ. */
export function unify(a: Dim, b: Dim): Dim | undefined {
  if (a === b) return a
  if (a === UNKNOWN) return b
  if (b === UNKNOWN) return a
  return undefined
}
