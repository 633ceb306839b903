/** Names of parameters: a pattern that is found in a name, or a whole name with `*` for any characters. */
export type NamePattern = RegExp | string

export function matchesName(pattern: NamePattern, name: string): boolean {
  if (typeof pattern !== 'string') return name.search(pattern) >= 0
  const parts = pattern.split('*').map(part => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`).test(name)
}

/** Whether any of the patterns matches. */
export const matchesAny = (
  patterns: NamePattern | readonly NamePattern[] | undefined,
  name: string,
): boolean => patterns !== undefined && [patterns].flat().some(pattern => matchesName(pattern, name))
