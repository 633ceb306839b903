import type { AnyTensor } from '../graph/tensor.ts'

/** A node of a file. What an operator does not read of it is refused. */
export interface FileNode {
  /** Of the file. */
  readonly opset: number
  /** How many outputs the node has. */
  readonly outputs: number
  /** An input. @throws UserError when it is missing */
  data(input: number): AnyTensor
  /** An input that may be left out. */
  optional(input: number): AnyTensor | undefined
  /** An integer attribute. */
  int(name: string, fallback: number): number
  /** An integer attribute that is 0 or 1. @default false */
  flag(name: string, fallback?: boolean): boolean
  /** A float attribute. */
  float(name: string, fallback: number): number
  /** A string attribute. @param of its supported values, the default first @throws UserError for any other */
  text<const T extends string>(name: string, of: readonly [T, ...T[]]): T
  /** Integers that must be constant: an attribute or, where it is given, an input. */
  ints(name: string, input?: number): readonly number[] | undefined
  /** One number that must be constant, likewise. */
  number(name: string, input?: number): number | undefined
  /** Numbers that must be constant, likewise. */
  numbers(name: string, input?: number): readonly number[] | undefined
}
