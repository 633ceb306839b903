import type { TypedArray } from '../graph/array.ts'
import type { DType } from '../graph/dtype.ts'
import type { OrtTensor, OrtTensors, SessionSettings } from './session.ts'

/** The requests that the thread handles. */
export interface Calls {
  open(device: string): Promise<string>
  load(
    bytes: Uint8Array,
    settings: SessionSettings | undefined,
  ): Promise<{ id: number; inputs: readonly string[]; outputs: readonly string[] }>
  run(
    session: number,
    feeds: Readonly<Record<string, OrtTensor | number>>,
    into: Readonly<Record<string, number>>,
  ): Promise<{ answer: OrtTensors; idle: number }>
  close(session: number): Promise<void>
  hold(held: number, dtype: DType, dims: readonly number[], data?: TypedArray): Promise<void>
  read(held: number): Promise<TypedArray>
  release(held: number): Promise<void>
}

export interface Question<K extends keyof Calls = keyof Calls> {
  readonly id: number
  readonly name: K
  readonly args: Parameters<Calls[K]>
}
/** The functions of the thread, with matching arguments and names. */
export type Answering = { readonly [K in keyof Calls]: (...args: Parameters<Calls[K]>) => Promise<unknown> }

export type Answer = { readonly id: number } & (
  | { readonly value: unknown }
  | { readonly error: unknown; readonly user: boolean }
)

/** Places in the memory that both threads see: whether this one is at work, and whether the process is about to end. */
export const BUSY = 0
export const ENDING = 1
