import { debugLevel } from './debug.ts'
import { fieldsOf } from './keys.ts'
import { printable } from './printable.ts'
import { currentScope } from './scope.ts'

/** A longer message quotes something that should be shortened. */
const LONGEST_MESSAGE = 4000

/** Frames that are looked through for the caller's line: layers in layers take several each. */
const FRAMES = 100

// Undefined in a bundle of CommonJS modules.
const HERE: string | undefined = import.meta.url

/** Where this library's own files lie; in a bundle that is one file with the caller's, so that no frame is left out. */
const LIBRARY = HERE ? ['../', '../../models/'].map(path => plainPath(new URL(path, HERE).href)) : []

function plainPath(text: string): string {
  return text.replace('file://', '')
}

/** Whether a frame is of this library, or of what calls it back: `Array.map`, the event loop. */
const isOwn = (frame: string): boolean =>
  !PLACE.test(frame) ||
  frame.includes('node:internal') ||
  LIBRARY.some(folder => plainPath(frame).includes(folder))

/** The message of an error; for other values, their text. */
export function messageOf(error: unknown): string {
  // In Jest an error of Node itself is not an instance of the test's Error.
  const { message } = fieldsOf(error)
  return typeof message === 'string' ? message : String(error)
}

/** A frame that says where it is. */
const PLACE = /:\d+:\d+\)?$/

/** A stack that starts at the caller's line; as it was where no line is the caller's, or while debugging. */
function fromCaller(stack: string): string {
  const lines = stack.split('\n')
  const first = lines.findIndex(line => PLACE.test(line))
  const frames = first < 0 ? [] : lines.slice(first)
  const caller = frames.findIndex(frame => !isOwn(frame))
  if (caller < 0 || debugLevel()) return stack
  return [...lines.slice(0, first), ...frames.slice(caller)].join('\n')
}

/**
 * An error in the user's input: a file, a flag, a shape. Its message is one sentence that says what is wrong, where, with the
 * numbers, and what to do; its stack starts at the line of the program that called this library. Programs show only the message. It
 * may quote files and their names: what is not text in them does not reach a terminal.
 */
export class UserError extends Error {
  /** `UserError`, or the name of a subclass. */
  override readonly name: string = 'UserError'

  constructor(message: string, options?: ErrorOptions) {
    // Engines without it write their stack at once.
    const isHeld = typeof Error.captureStackTrace === 'function'
    const limit = Error.stackTraceLimit
    if (isHeld) Error.stackTraceLimit = 0
    super(printable(message.replace(/\s*\n\s*/g, ' '), LONGEST_MESSAGE), options)
    const held: { name: string; message: string; stack?: string | undefined } = {
      name: 'Error',
      message: this.message,
    }
    if (isHeld) {
      Error.stackTraceLimit = FRAMES
      Error.captureStackTrace(held, new.target)
      Error.stackTraceLimit = limit
    } else held.stack = this.stack
    // Written when it is read: the text of so many frames takes a millisecond, and a file may be refused in thousands of places.
    const define = (own: PropertyDescriptor) =>
      Object.defineProperty(this, 'stack', { ...own, configurable: true })
    define({
      get: () => fromCaller(held.stack ?? ''),
      set: (stack: unknown) => define({ value: stack, writable: true }),
    })
  }
}

/**
 * A shape or dtype that an op does not accept. Thrown while the graph is built, so that the stack starts at the line; inside a
 * model's layers the message ends with the layer's path.
 */
export class ShapeError extends UserError {
  /** `ShapeError`. */
  override readonly name = 'ShapeError'

  constructor(message: string, options?: ErrorOptions) {
    const layer = currentScope()
    super(layer && !message.endsWith(')') ? `${message} (in ${layer})` : message, options)
  }
}
