import { MOST_AXES } from '../export/tensor-size.ts'
import { type Dim, product, type Shape, sum, UNKNOWN } from '../graph/dim.ts'
import { UserError } from '../graph/errors.ts'
import { printable } from '../graph/printable.ts'
import { LONGEST_DIM } from './value.ts'

const SYMBOL = /^[^\d*+?\s][^*+]*$/

/** The dim that a text of a file means: a symbol, or a sum of products such as `4*batch + 1`; otherwise not known. */
export function statedDim(text: string | undefined): Dim {
  if (!text || text.length > LONGEST_DIM || text !== printable(text, LONGEST_DIM)) return UNKNOWN
  if (SYMBOL.test(text) && !/[/()-]/.test(text)) return text
  const terms = text.split('+').map(term => term.split('*').map(factor => factor.trim()))
  const isFactor = (f: string) => /^\d+$/.test(f) || (SYMBOL.test(f) && /^\w+$/.test(f))
  if (!terms.flat().every(isFactor)) return SYMBOL.test(text) ? text : UNKNOWN
  return sum(terms.map(term => product(term.map(f => (/^\d+$/.test(f) ? Number(f) : f)))))
}

/** No size that is negative, fractional or beyond what a tensor can have. */
export function checkShape({ shape }: { readonly shape: Shape }): void {
  if (shape.length > MOST_AXES)
    throw new UserError(`has ${shape.length} axes; a tensor has at most ${MOST_AXES}`)
  const sizes = shape.filter(d => typeof d === 'number')
  const names = shape.filter(d => typeof d === 'string')
  const elements = sizes.reduce((n, d) => n * Math.abs(d), 1)
  if (sizes.some(d => !Number.isSafeInteger(d) || d < UNKNOWN) || !Number.isSafeInteger(elements))
    throw new UserError(`has the shape [${shape.slice(0, 8).join()}], which no tensor can have`)
  if (names.some(d => d.length > LONGEST_DIM))
    throw new UserError(`has a size whose formula is longer than ${LONGEST_DIM} characters`)
}
