let scope = ''

/** Path of the layer that is being evaluated; names of nodes come from it and nothing else depends on it. */
export const currentScope = (): string => scope

/** Runs `body` with `path` as the scope of the nodes it makes. */
export function withScope<T>(path: string, body: () => T): T {
  const outer = scope
  scope = path
  try {
    return body()
  } finally {
    scope = outer
  }
}
