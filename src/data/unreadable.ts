import { UserError } from '../graph/errors.ts'
import { listed } from './notice.ts'

/** A picture that cannot be used. */
export interface Unreadable {
  /** From the data folder, with `/`. */
  readonly path: string
  /** What is wrong, to be read after the path. */
  readonly why: string
}

export const EMPTY_FILE = 'is empty (0 bytes)'

/** How they can be left out, in words. */
export const SKIP = '--skip-bad (skipBad: true in a program)'

/** So many are named in an error, as far as they fit. */
const NAMED = 20
const LONGEST = 3000

/**
 * What is wrong with a picture, of the error that reading it ended with.
 * @param name what its message begins with
 * @throws any other error than a UserError
 */
export function whyUnreadable(error: unknown, name: string): string {
  if (!(error instanceof UserError)) throw error
  const { message } = error
  return message.startsWith(`${name}: `) ? message.slice(name.length + 2) : message
}

const inOrder = (all: readonly Unreadable[]): Unreadable[] =>
  [...all].sort((a, b) => (a.path < b.path ? -1 : 1))

/**
 * The error for pictures that cannot be read. It names them all, or the first of them where there are many; then `log` gets each of
 * them.
 * @param of how many pictures there are in all
 */
export function unreadableError(
  where: string,
  unreadable: readonly Unreadable[],
  of: number,
  log: (line: string) => void,
): UserError {
  const lines = inOrder(unreadable).map(({ path, why }) => `${path} ${why}`)
  let most = Math.min(NAMED, lines.length)
  while (most > 1 && lines.slice(0, most).join('; ').length > LONGEST) most--
  const more = lines.length - most
  if (more) for (const line of lines) log(`unreadable: ${line}`)
  return new UserError(
    `${where}: ${count(unreadable.length)} of ${count(of)} pictures cannot be read: ${lines.slice(0, most).join('; ')}${more ? `; and ${count(more)} more, listed above` : ''}. Repair or remove them, or skip them with ${SKIP}`,
  )
}

/** What is said of pictures, and of class folders, that were left out. */
export function skippedNotices(
  unreadable: readonly Unreadable[],
  of: number,
  classes: readonly string[],
): readonly string[] {
  const notices: string[] = []
  if (unreadable.length)
    notices.push(
      `Skipped ${count(unreadable.length)} of ${count(of)} pictures, which cannot be read: ${listed(inOrder(unreadable).map(({ path }) => path))}`,
    )
  if (classes.length)
    notices.push(
      `Skipped ${classes.length} ${classes.length === 1 ? 'class' : 'classes'} without pictures: ${listed(classes)}`,
    )
  return notices
}

const count = (n: number): string => n.toLocaleString('en-US')
