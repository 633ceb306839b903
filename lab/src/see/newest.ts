/**
 * Does one thing at a time: of what is asked for while one is under way, only the newest is done next, and the rest never.
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
