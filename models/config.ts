import { UserError } from '../src/graph/errors.ts'

/** @throws UserError unless all sizes are whole numbers of at least 1 */
export function checkSizes(model: string, sizes: object): void {
  for (const [key, size] of Object.entries(sizes))
    if (!Number.isInteger(size) || size < 1)
      throw new UserError(`${model}: ${key} must be a whole number of at least 1, not ${size}`)
}

/** @throws UserError unless both rates are shares that leave something */
export function checkDropout(
  model: string,
  { dropout = 0, dropPath = 0 }: { readonly dropout?: number; readonly dropPath?: number },
): void {
  for (const [key, rate] of Object.entries({ dropout, dropPath }))
    if (!(rate >= 0 && rate < 1))
      throw new UserError(`${model}: ${key} must be at least 0 and below 1, not ${rate}`)
}

/** @throws UserError when the embedding cannot be shared out to the attention heads */
export function checkHeads(model: string, { dim, heads }: { dim: number; heads: number }): void {
  if (dim % heads) throw new UserError(`${model}: dim ${dim} is not divisible by heads ${heads}`)
}
