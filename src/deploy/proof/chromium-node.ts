import { ARRAYS, type TypedArray } from '../../graph/array.ts'
import { messageOf, UserError } from '../../graph/errors.ts'
import { fieldsOf, isKey } from '../../graph/keys.ts'
import { nth } from '../../graph/present.ts'
import { deviceOf } from '../../runtime/device.ts'
import { type Feeds, type OrtTensors, plainMessage, type Runtime } from '../../runtime/session.ts'
import type { WebDeviceName } from '../../runtime/web.ts'
import { findChromium } from './chromium-find-node.ts'
import { type Browser, GPU_FLAGS, openBrowser } from './chromium-process-node.ts'
import { type PageServer, servePage } from './chromium-server-node.ts'
import type { SelfTimed } from './loaded.ts'
import { type Packed, packed, tensorAt, unpacked } from './message.ts'

/** onnxruntime-web in a page of Chromium. */
export interface ChromiumRuntime extends Runtime {
  /** Threads, GPU and browser, in words. */
  readonly detail: string
}

/** Seconds in which a browser starts and loads onnxruntime. */
const START = 60

interface Command {
  readonly id: number
  readonly bytes: Uint8Array
}

interface Answer {
  readonly value: unknown
  readonly rest: Uint8Array
}

interface Waiting {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/** One page, which does one thing after another. */
class Page {
  readonly #name: string
  readonly #waiting = new Map<number, Waiting>()
  readonly #queue: Command[] = []
  #asked = 0
  #next: ((bytes: Uint8Array) => void) | undefined
  #ended: Error | undefined

  constructor(name: string) {
    this.#name = name
  }

  /** What the page posts, for which it gets the next command. */
  turn(posted: Uint8Array): Promise<Uint8Array> {
    const { value: answer, rest } = unpacked(posted)
    const { id, error, value } = fieldsOf(answer)
    const waiting = typeof id === 'number' ? this.#waiting.get(id) : undefined
    if (typeof id === 'number') this.#waiting.delete(id)
    if (typeof error === 'string') waiting?.reject(new UserError(`${this.#name}: ${plainMessage(error)}`))
    else waiting?.resolve({ value, rest })
    return new Promise(resolve => {
      this.#next = resolve
      this.#send()
    })
  }

  /** The first thing that the page says. */
  hello(seconds: number): Promise<Answer> {
    return this.#expect(-1, 'starting', seconds)
  }

  ask(
    what: string,
    seconds: number,
    parts: readonly (TypedArray | Uint8Array)[],
    make: (offsets: readonly number[]) => object,
  ): Promise<Answer> {
    const id = this.#asked++
    const answer = this.#expect(id, what, seconds)
    this.#queue.push({ id, bytes: packed(parts, offsets => ({ id, ...make(offsets) })) })
    this.#send()
    return answer
  }

  stop(error: Error): void {
    this.#ended ??= error
    for (const { reject } of this.#waiting.values()) reject(this.#ended)
    this.#waiting.clear()
  }

  #expect(id: number, what: string, seconds: number): Promise<Answer> {
    if (this.#ended) return Promise.reject(this.#ended)
    return new Promise<Answer>((resolve, reject) => {
      const late = new UserError(
        `${this.#name}: ${what} took more than ${seconds} s, and may never end; --timeout SECONDS gives it more time`,
      )
      const clock = setTimeout(() => this.stop(late), Math.min(1000 * seconds, 2 ** 31 - 1))
      const end = () => clearTimeout(clock)
      this.#waiting.set(id, {
        resolve(answer) {
          end()
          resolve(answer)
        },
        reject(error) {
          end()
          reject(error)
        },
      })
    })
  }

  #send(): void {
    const [command] = this.#queue
    if (!command || !this.#next) return
    this.#queue.shift()
    this.#next(command.bytes)
    this.#next = undefined
  }
}

/** What a page says of itself. */
interface About {
  readonly version: string
  readonly detail: string
}

function aboutOf(value: unknown): About {
  const { version, threads, gpu, browser } = fieldsOf(value)
  const name = /(?:HeadlessChrome|Chrome|Edg)\/([\d.]+)/.exec(String(browser))?.[1]
  const where = gpu === undefined ? `${threads} thread${threads === 1 ? '' : 's'}` : String(gpu)
  return { version: String(version), detail: `${where}, Chromium ${name ?? 'of unknown version'}` }
}

interface Opened {
  readonly page: Page
  readonly about: About
  close(): Promise<void>
}

/** A page in a browser that is started for it. @throws UserError when it does not come up */
async function openPage(name: string, device: WebDeviceName, flags: readonly string[]): Promise<Opened> {
  const program = await findChromium()
  const page = new Page(name)
  let [server, browser]: [PageServer | undefined, Browser | undefined] = [undefined, undefined]
  const close = async () => {
    page.stop(new UserError(`${name}: the browser was closed`))
    await browser?.close()
    await server?.close()
  }
  try {
    const hello = page.hello(START)
    hello.catch(() => {})
    server = await servePage(posted => page.turn(posted))
    browser = await openBrowser(program, `${server.url}?device=${device}`, flags)
    void browser.ended.then(said => {
      const last = said.trim().split('\n').at(-1) ?? ''
      page.stop(new UserError(`${name}: ${program} ended${last && ` (${last})`}`))
    })
    return { page, about: aboutOf((await hello).value), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The machine's GPU, else SwiftShader, which computes WebGPU on the processor. */
const openGpu = (name: string): Promise<Opened> =>
  openPage(name, 'webgpu', GPU_FLAGS.hardware).catch((error: unknown) => {
    if (!/no GPU adapter|no available backend/.test(messageOf(error))) throw error
    return openPage(name, 'webgpu', GPU_FLAGS.software)
  })

/**
 * onnxruntime-web in a page of the Chromium, Chrome or Edge that is installed. It is closed with the runtime, or when the process ends.
 * @param timeout seconds in which a model is loaded, and a batch computed
 * @throws UserError when there is no browser, or the device does not work in it
 */
export async function chromiumRuntime(
  device: WebDeviceName,
  { timeout = 60 } = {},
): Promise<ChromiumRuntime> {
  const name = `chromium-${device}`
  const { page, about, close } = await (device === 'webgpu'
    ? openGpu(name)
    : openPage(name, device, GPU_FLAGS.none))
  const untold = (): never => {
    throw new Error('internal: a browser holds no tensors')
  }
  const withFeeds = (what: string, feeds: Feeds, more: object, times = 1): Promise<Answer> => {
    const all = Object.entries(feeds).map(([key, t]) => ({ key, tensor: 'data' in t ? t : untold() }))
    return page.ask(
      what,
      timeout * times,
      all.map(({ tensor }) => tensor.data),
      offsets => ({
        ...more,
        feeds: Object.fromEntries(
          all.map(({ key, tensor: { type, dims, data } }, i): [string, Packed] => [
            key,
            { type, dims, offset: nth(offsets, i), bytes: data.byteLength },
          ]),
        ),
      }),
    )
  }
  return {
    device: deviceOf(device),
    ...about,
    parallel: true,
    tensor: (type, data, dims) => ({ type, data, dims }),
    allocate: bytes => new ArrayBuffer(bytes),
    ...{ hold: untold, read: untold, release: untold, close },
    async load(bytes): Promise<SelfTimed> {
      const { value } = await page.ask('loading', timeout, [bytes], () => ({
        do: 'load',
        model: { type: 'uint8', dims: [bytes.length], offset: 0, bytes: bytes.length },
      }))
      const { session, inputs, outputs } = value as {
        readonly session: number
        readonly inputs: readonly string[]
        readonly outputs: readonly string[]
      }
      return {
        ...{ inputs, outputs, idle: 0 },
        async run(feeds) {
          const got = await withFeeds('running', feeds, { do: 'run', session })
          return tensorsOf(got)
        },
        async time(feeds, runs) {
          const { value: times } = await withFeeds('running', feeds, { do: 'time', session, runs }, runs)
          return times as readonly number[]
        },
        async close() {
          await page.ask('closing', timeout, [], () => ({ do: 'close', session }))
        },
      }
    },
  }
}

function tensorsOf({ value, rest }: Answer): OrtTensors {
  return Object.fromEntries(
    Object.entries(value as Readonly<Record<string, Packed>>).map(([name, tensor]) => {
      const { type } = tensor
      if (!isKey(ARRAYS, type))
        throw new UserError(`output ${name} has the type ${type}, which is not supported`)
      return [name, tensorAt(rest, tensor, type)]
    }),
  )
}
