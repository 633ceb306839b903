import { printable } from './printable.ts'

/** A sentence that is longer quotes something that should not be shown whole. */
const LONGEST_MESSAGE = 4000

/**
 * A mistake in what the user gave: a file, a flag, a shape. Its message is one sentence that says what is wrong,
 * where, with the numbers, and what to do. Programs show the message alone, without a stack. It may quote files and
 * their names: what is no text in them does not reach a terminal.
 */
export class UserError extends Error {
  override readonly name: string = 'UserError'

  constructor(message: string, options?: ErrorOptions) {
    super(printable(message.replace(/\s*\n\s*/g, ' '), LONGEST_MESSAGE), options)
  }
}

/** A shape or dtype that does not fit an op. Thrown while the graph is built, so that the stack points at the line. */
export class ShapeError extends UserError {
  override readonly name = 'ShapeError'
}
