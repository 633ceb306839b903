// How the page and its worker exchange what the protocol says.

import type { Requests } from './protocol.ts'

/** What the page sends to its worker. */
export interface Question<K extends keyof Requests = keyof Requests> {
  readonly id: number
  readonly name: K
  readonly args: Requests[K]['args']
}

/** What the worker answers; `fatal` if it cannot continue and must be replaced. */
export type Answer = { readonly id: number } & (
  | { readonly value: unknown }
  | { readonly error: string; readonly fatal: boolean }
)

/** Where the worker says, once, that it lives: the page gets the lock when the worker is gone, however it went. */
export interface Hello {
  readonly lock: string
}
