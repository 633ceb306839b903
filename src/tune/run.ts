import type { Standing } from './search.ts'

/** What a run came to, under the parameters that it answers with. */
export interface Final {
  readonly testAccuracy: number
  readonly testLoss: number
  readonly trainAccuracy: number
  readonly valAccuracy?: number
  readonly valLoss?: number
  /** Whether its file gives its numbers on every runtime, where that was tried. */
  readonly verified?: boolean
}

/** One of several runs, as its folder shows it. */
export interface Run extends Standing {
  /** Spent on its training steps. */
  readonly seconds: number
  /** Where it has come to its end. */
  readonly final?: Final
  /** Why it failed. */
  readonly failure?: string
}
