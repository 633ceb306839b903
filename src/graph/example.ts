import type { AnyTensor } from './tensor.ts'

/** Arguments of a call that shows a function; `t` makes an input of the dtype that is looked at. */
export type Example = (t: (...shape: number[]) => AnyTensor) => readonly unknown[]

const examples = new WeakMap<object, Example>()

/** Keeps a function's example beside it: the documentation's table and the tests call the function with it. */
export function example<F extends object>(f: F, args: Example): F {
  examples.set(f, args)
  return f
}

export const exampleOf = (f: object): Example | undefined => examples.get(f)

/** One tensor, for functions with one argument. */
export const one: Example = t => [t(2, 3)]
/** Two tensors that broadcast. */
export const two: Example = t => [t(2, 3), t(3)]
