import type { Held, Runtime } from '../../src/runtime/session.ts'

/** A runtime that counts what is open with it. */
export function counting(runtime: Runtime) {
  const held = new Set<Held>()
  const open = {
    sessions: 0,
    get held() {
      return held.size
    },
  }
  const counted: Runtime = {
    ...runtime,
    async load(...model) {
      const session = await runtime.load(...model)
      open.sessions++
      return {
        inputs: session.inputs,
        outputs: session.outputs,
        get idle() {
          return session.idle
        },
        run: (...feeds) => session.run(...feeds),
        close() {
          open.sessions--
          return session.close()
        },
      }
    },
    hold(...tensor) {
      const made = runtime.hold(...tensor)
      held.add(made)
      return made
    },
    release(tensor) {
      held.delete(tensor)
      runtime.release(tensor)
    },
  }
  return { runtime: counted, open }
}
