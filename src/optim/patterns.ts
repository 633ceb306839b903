/** Names of parameters: a pattern that is found in a name, or a whole name with `*` for any characters. */
export type NamePattern = RegExp | string

/** A text as a pattern of itself. */
const quoted = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

export function matchesName(pattern: NamePattern, name: string): boolean {
  if (typeof pattern !== 'string') return name.search(pattern) >= 0
  const parts = pattern.split('*').map(quoted)
  return new RegExp(`^${parts.join('.*')}$`).test(name)
}

/** A name, and those of the layers that hold it: `blocks`, `blocks.0`, `blocks.0.weight`. */
export const pathsOf = (name: string): readonly string[] => {
  const parts = name.split('.')
  return parts.map((_, i) => parts.slice(0, i + 1).join('.'))
}

/** Whether any of the patterns matches. */
export const matchesAny = (
  patterns: NamePattern | readonly NamePattern[] | undefined,
  name: string,
): boolean => patterns !== undefined && [patterns].flat().some(pattern => matchesName(pattern, name))

/** A pattern of the names of all parameters but these, such as a head's: for `freeze`, or a group of an optimizer. */
export const allBut = (names: readonly string[]): RegExp =>
  new RegExp(`^(?!(?:${names.map(quoted).join('|')})$)`)
