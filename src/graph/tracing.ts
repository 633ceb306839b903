import type { Tensor } from './tensor.ts'

/** What a model's forward function does beside computing its outputs. */
export interface Trace {
  /** New values of buffers, by the buffer. */
  readonly assigned: Map<Tensor, Tensor>
}

let current: Trace | undefined

/** The forward function that is being traced; undefined outside of one. */
export const currentTrace = (): Trace | undefined => current

/** Runs a model's forward function. Traces may nest: a model can be made while another one is traced by mistake only. */
export function trace<T>(body: () => T): {
  readonly result: T
  readonly assigned: ReadonlyMap<Tensor, Tensor>
} {
  const outer = current
  const own: Trace = { assigned: new Map() }
  current = own
  try {
    return { result: body(), assigned: own.assigned }
  } finally {
    current = outer
  }
}
