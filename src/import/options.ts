import type { Bindings } from '../graph/bind.ts'

/** How a file is read. */
export interface ImportOptions {
  /** Sizes or other names for the symbols of the inputs' shapes. */
  readonly dims?: Bindings
  /** Other names for inputs, by their names in the file. */
  readonly names?: Readonly<Record<string, string>>
  /** A first dim of 1 that all inputs have is the symbol `batch`, also where the file reshapes to it. @default false */
  readonly freeBatch?: boolean
}
