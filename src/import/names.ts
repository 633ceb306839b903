import { printable } from '../graph/printable.ts'

/** Of a name that is longer the beginning counts, of a path with more parts the first: work on layers grows with its depth. */
const LONGEST_NAME = 512
const DEEPEST = 32

/** Path of the layer in a node's name. */
export function nodePath(name: string): string {
  const parts = printable(name, LONGEST_NAME).split('/').slice(0, -1).filter(Boolean)
  const path = parts.filter((part, i) => !parts[i + 1]?.startsWith(`${part}.`)).join('.')
  return path.split('.', DEEPEST).join('.')
}

/** The path that the names of all these weights share, for nodes whose own name has none. */
export function sharedPath(names: readonly string[]): string {
  const paths = names
    .filter(n => n.length <= LONGEST_NAME && /^[\w.]+$/.test(n))
    .map(n => n.split('.').slice(0, -1))
  const [first = [], ...rest] = paths
  const differs = first.findIndex((part, i) => rest.some(p => p[i] !== part))
  return first.slice(0, differs < 0 ? DEEPEST : Math.min(differs, DEEPEST)).join('.')
}
