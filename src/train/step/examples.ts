import type { NdArray } from '../../graph/array.ts'
import type { Bindings } from '../../graph/bind.ts'

/** Arrays by name: the model's inputs and the task's targets, with the sizes of their symbolic dims. */
export interface Examples {
  readonly arrays: Readonly<Record<string, NdArray>>
  readonly sizes: Bindings
}

/** Several batches of the same sizes, one after the other along a new first axis of each array where they are several. */
export interface ExamplesOfSteps extends Examples {
  readonly steps: number
}
