import type { Model } from '../../nn/model.ts'

/** What a part of a name is replaced by, in this order; `[0]`, `[1]` … at its end: rows of one tensor, from the top. */
export type Rules = readonly (readonly [RegExp, string])[]

/** How a library names the parameters of a model that has other names here. */
export interface Naming {
  readonly rules: Rules
  /** Settings that models of these names have. */
  readonly config?: object
  /** Why a model of the same names cannot take the weights all the same, and what to do. */
  readonly refusal?: (model: Pick<Model, 'name' | 'config'>) => string | undefined
}
