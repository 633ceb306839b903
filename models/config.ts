import { UserError } from '../src/graph/errors.ts'
import { printable } from '../src/graph/printable.ts'

/** Limits beyond any model that is trained on one machine. Configurations may also come from untrusted files. */
const MOST = { size: 2 ** 20, layers: 1024 } as const

/** A value as a message shows it, whatever it is. */
export const shown = (value: unknown): string =>
  printable(typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined'))

function check(model: string, sizes: object, most: number): void {
  for (const [key, size] of Object.entries(sizes)) {
    if (!Number.isInteger(size) || size < 1)
      throw new UserError(`${model}: ${key} must be a whole number of at least 1, not ${shown(size)}`)
    if (size > most) throw new UserError(`${model}: ${key} must be at most ${most}, not ${size}`)
  }
}

/** @throws UserError unless all sizes are whole numbers of at least 1, and such as a model can have */
export const checkSizes = (model: string, sizes: object): void => check(model, sizes, MOST.size)

/** {@link checkSizes} for a number of layers. */
export const checkDepth = (model: string, depth: number): void => check(model, { depth }, MOST.layers)

/** {@link checkSizes} for the sizes of layers, one after the other. */
export function checkLayers(model: string, lists: Readonly<Record<string, readonly number[]>>): void {
  for (const [key, sizes] of Object.entries(lists)) {
    if (!Array.isArray(sizes) || sizes.length > MOST.layers)
      throw new UserError(
        `${model}: ${key} must be a list of at most ${MOST.layers} sizes, not ${shown(sizes)}`,
      )
    checkSizes(model, Object.fromEntries(sizes.map((size, i) => [`${key}[${i}]`, size])))
  }
}

/** @throws UserError unless both rates are at least 0 and below 1 */
export function checkDropout(
  model: string,
  { dropout = 0, dropPath = 0 }: { readonly dropout?: number; readonly dropPath?: number },
): void {
  for (const [key, rate] of Object.entries({ dropout, dropPath }))
    if (!(Number.isFinite(rate) && rate >= 0 && rate < 1))
      throw new UserError(`${model}: ${key} must be at least 0 and below 1, not ${shown(rate)}`)
}

/** @throws UserError when the embedding cannot be divided among the attention heads */
export function checkHeads(model: string, { dim, heads }: { dim: number; heads: number }): void {
  if (dim % heads) throw new UserError(`${model}: dim ${dim} is not divisible by heads ${heads}`)
}
