/** An element that is there, by what its caller has checked. */
export function at<T>(list: ArrayLike<T>, i: number): T {
  const value = list[i]
  if (value === undefined) throw new Error(`internal: there is no element ${i} of ${list.length}`)
  return value
}

/** The value of a key that is there, by what its caller has checked. */
export function got<K, V>(map: ReadonlyMap<K, V>, key: K): V {
  const value = map.get(key)
  if (value === undefined) throw new Error(`internal: there is no value of ${String(key)}`)
  return value
}
