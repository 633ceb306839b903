/**
 * A mistake in what the user gave: a file, a flag, a shape. Its message is one sentence that says what is wrong,
 * where, with the numbers, and what to do. Programs show the message alone, without a stack.
 */
export class UserError extends Error {
  override readonly name: string = 'UserError'
}

/** A shape or dtype that does not fit an op. Thrown while the graph is built, so that the stack points at the line. */
export class ShapeError extends UserError {
  override readonly name = 'ShapeError'
}
