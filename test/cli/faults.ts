import { basename } from 'node:path'

/** A call that changes files. */
export interface Call {
  readonly name: string
  /** What it writes into, and how many bytes. */
  readonly write?: { readonly file: string; readonly bytes: number }
}

interface Settings {
  /** The number of the call that fails, and the code of its error. */
  readonly at: number
  readonly code: string
  /** See the files before and after each call. */
  readonly before: (call: Call) => void
  readonly after: (call: Call) => void
}
const NONE: Settings = { at: Number.POSITIVE_INFINITY, code: 'EIO', before: () => {}, after: () => {} }

/** A file system whose calls that change something are watched, and one of which fails. */
class Faults {
  calls: string[] = []
  settings: Settings = NONE

  begin(settings: Partial<Settings> = {}): void {
    this.calls = []
    this.settings = { ...NONE, ...settings }
  }
}
export const faults = new Faults()

/** @param part what a call that fails has done nevertheless */
async function run<T>(call: Call, work: () => Promise<T>, part?: () => Promise<unknown>): Promise<T> {
  const { at, code, before, after } = faults.settings
  const number = faults.calls.push(call.name) - 1
  if (number === at) {
    await part?.()
    throw Object.assign(new Error(`${code}: ${call.name}`), { code })
  }
  before(call)
  const value = await work()
  after(call)
  return value
}

type Promises = typeof import('node:fs/promises')
type Handle = import('node:fs/promises').FileHandle
type Method = (...args: unknown[]) => Promise<unknown>

const watched = (file: Handle, path: string): Handle =>
  new Proxy(file, {
    get(target, key) {
      const value = Reflect.get(target, key) as unknown
      if (typeof value !== 'function') return value
      const method = value.bind(target) as Method
      const name = `${String(key)} ${basename(path)}`
      if (key === 'sync' || key === 'truncate') return () => run({ name }, () => method())
      if (key !== 'writeFile' && key !== 'appendFile') return method
      return (data: string | Uint8Array) => {
        const bytes = Buffer.from(data)
        const half = () => method(bytes.subarray(0, bytes.length / 2))
        return run({ name, write: { file: path, bytes: bytes.length } }, () => method(data), half)
      }
    },
  })

const CHANGING = ['rename', 'link', 'copyFile', 'rm', 'mkdir', 'truncate', 'appendFile', 'writeFile'] as const

/** `node:fs/promises`, watched. */
export const faulty = (fs: Promises): Promises => {
  const changing = CHANGING.map(key => {
    const method = fs[key] as Method
    const call = (...args: unknown[]) =>
      run({ name: `${key} ${basename(String(args[0]))}` }, () => method(...args))
    return [key, call] as const
  })
  const { O_WRONLY, O_RDWR } = fs.constants
  return {
    ...fs,
    ...Object.fromEntries(changing),
    async open(...[path, flags, mode]: Parameters<Promises['open']>) {
      const reads = typeof flags === 'number' ? !(flags & (O_WRONLY | O_RDWR)) : flags === 'r'
      const open = () => fs.open(path, flags, mode)
      const file = await (reads ? open() : run({ name: `open ${basename(String(path))}` }, open))
      return watched(file, String(path))
    },
  }
}
