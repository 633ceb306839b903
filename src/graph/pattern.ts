import { type Dim, type Shape, show, UNKNOWN, unify } from './dim.ts'
import { ShapeError } from './errors.ts'
import { nth } from './present.ts'

/** Shapes that a layer takes, written with symbols for dims of any size: `['B', 'T', 64]`. */

/** Throws unless all dims of a pattern are sizes or names: `'B*2'` could not be solved for `'B'`. */
export function checkPattern(op: string, pattern: Shape): void {
  for (const dim of pattern)
    if (typeof dim === 'number' ? !Number.isInteger(dim) || dim < 0 : /[+*]|^\d*$/.test(dim))
      throw new ShapeError(`${op}: dim ${dim} of pattern [${pattern.join(',')}] is neither a size nor a name`)
}

/**
 * What each symbol of a pattern stands for in a shape. One that appears twice stands for one dim.
 * @throws ShapeError when the shape does not match
 */
export function matchShape(op: string, pattern: Shape, shape: Shape): ReadonlyMap<string, Dim> {
  const bound = new Map<string, Dim>()
  const fits = (wanted: Dim, i: number): boolean => {
    const symbol = typeof wanted === 'string'
    const dim = unify(symbol ? (bound.get(wanted) ?? UNKNOWN) : wanted, nth(shape, i))
    if (symbol && dim !== undefined) bound.set(wanted, dim)
    return dim !== undefined
  }
  if (pattern.length !== shape.length || !pattern.every(fits))
    throw new ShapeError(`${op}: ${show(shape)} does not match ${show(pattern)}`)
  return bound
}
