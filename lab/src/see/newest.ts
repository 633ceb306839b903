/**
 * Runs one task at a time: of the requests made meanwhile, only the newest is run next; the others are dropped.
 * @param work must not throw
 */
export function newest<T>(work: (request: T) => Promise<void>): (request: T) => void {
  let waiting: { readonly request: T } | undefined
  let busy = false
  const go = async () => {
    busy = true
    while (waiting) {
      const { request } = waiting
      waiting = undefined
      await work(request)
    }
    busy = false
  }
  return request => {
    waiting = { request }
    if (!busy) void go()
  }
}
