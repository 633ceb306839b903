/**
 * Works on items and gives each with its result, in order. With a depth of 2, an item is made and handed over while the
 * one before it is worked on; with 1, after that.
 */
export async function* prefetch<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  work: (item: T) => Promise<R>,
  depth: 1 | 2 = 2,
): AsyncGenerator<readonly [item: T, result: R]> {
  let begun: { readonly item: T; readonly result: Promise<R> }[] = []
  for await (const item of items) {
    const result = work(item)
    // It is awaited in its turn; until then, its failure is not a mistake that nobody handles.
    result.catch(() => {})
    begun.push({ item, result })
    if (begun.length < depth) continue
    const [first, ...rest] = begun
    begun = rest
    if (first) yield [first.item, await first.result]
  }
  for (const { item, result } of begun) yield [item, await result]
}
