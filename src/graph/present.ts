// Access to values that exist, although the compiler cannot know it. A missing value is a broken invariant, and the
// error names the place.
// In loops over pixels and other numbers write `Number(values[i])` instead, which V8 compiles to the bare read: these
// functions see arrays of all kinds, and so make such a loop several times slower.

/** An item by an index that is in range; negative ones count from the end. */
export function nth<T>(items: ArrayLike<T>, index: number): T {
  const at = index < 0 ? items.length + index : index
  if (!(at >= 0 && at < items.length)) throw new Error(`internal: index ${index} of ${items.length}`)
  return items[at] as T
}

/** Of a map that is only read, `instanceof` tells the compiler nothing. */
const isMap = (all: object): all is ReadonlyMap<unknown, unknown> => all instanceof Map

/** The value of a key that a map or record has. */
export function lookup<K, V>(all: ReadonlyMap<K, V>, key: K): V
export function lookup<V>(all: Readonly<Record<string, V>>, key: string | number): NonNullable<V>
export function lookup(all: ReadonlyMap<unknown, unknown> | Readonly<Record<string, unknown>>, key: unknown) {
  const value = isMap(all) ? all.get(key) : all[String(key)]
  if (value === undefined) throw new Error(`internal: nothing is named ${String(key)}`)
  return value
}

/** A value that must exist at this point. @param what names it in the message */
export function present<T>(value: T, what: string): NonNullable<T> {
  if (value === undefined || value === null) throw new Error(`internal: there is no ${what}`)
  return value
}

/** Pairs of what stands in the same place of two arrays of equal length. */
export function zip<A, B>(a: ArrayLike<A>, b: ArrayLike<B>): [A, B][] {
  if (a.length !== b.length) throw new Error(`internal: ${a.length} items against ${b.length}`)
  return Array.from(a, (item, i) => [item, nth(b, i)])
}
