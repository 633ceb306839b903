/**
 * Works on items and gives each with its result, in order. With a depth of 2, an item is made and handed over while the
 * one before it is worked on; with 1, after that.
 */
export async function* prefetch<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  work: (item: T) => Promise<R>,
  depth: 1 | 2 = 2,
): AsyncGenerator<readonly [item: T, result: R]> {
  const begun: (readonly [T, Promise<R>])[] = []
  const first = async () => {
    const [item, result] = begun.shift()!
    return [item, await result] as const
  }
  for await (const item of items) {
    const result = work(item)
    // It is awaited in its turn; until then, its failure is not a mistake that nobody handles.
    result.catch(() => {})
    begun.push([item, result])
    if (begun.length === depth) yield first()
  }
  while (begun.length) yield first()
}
