import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A browser without a window, with a profile of its own. */
export interface Browser {
  /** Resolves with what it said last, when it has ended. */
  readonly ended: Promise<string>
  /** Ends it, and removes its profile. */
  close(): Promise<void>
}

/** Keeps the browser from contacting its maker's servers. */
const FLAGS = [
  ...['--headless=new', '--no-first-run', '--no-default-browser-check', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync', '--disable-extensions', '--disable-quic'],
  ...['--disable-dev-shm-usage', '--disable-background-timer-throttling', '--disable-renderer-backgrounding'],
]

/** How WebGPU is asked for: of the machine's GPU, or of SwiftShader, which computes on the processor. */
export const GPU_FLAGS = {
  none: ['--disable-gpu'],
  hardware: ['--enable-unsafe-webgpu', '--enable-features=Vulkan,WebGPU'],
  software: [
    ...['--enable-unsafe-webgpu', '--enable-features=Vulkan,WebGPU'],
    ...['--use-webgpu-adapter=swiftshader', '--use-vulkan=swiftshader'],
  ],
} as const

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Milliseconds in which a browser that is asked to end does so. */
const PATIENCE_MS = 5000

/** The process and all that it started. */
function kill({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** Opens a page. However this process ends, unless it is killed, the browser ends, and its profile is removed. */
export async function openBrowser(program: string, url: string, flags: readonly string[]): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), 'onnxgrad-browser-'))
  // Chromium's sandbox refuses to run as root.
  const root = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  const child = spawn(program, [...FLAGS, ...root, ...flags, `--user-data-dir=${profile}`, url], {
    // A group of its own, which is ended as a whole.
    detached: process.platform !== 'win32',
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, XDG_CONFIG_HOME: profile, XDG_CACHE_HOME: profile },
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2000)
  })
  const remove = { recursive: true, force: true, maxRetries: 5, retryDelay: 50 } as const
  const atExit = (): void => {
    kill(child)
    rmSync(profile, remove)
  }
  const atSignal = (signal: NodeJS.Signals): void => {
    atExit()
    forget()
    // Node would have ended here; others who listen decide themselves.
    if (!process.listenerCount(signal)) process.kill(process.pid, signal)
  }
  const forget = (): void => {
    process.off('exit', atExit)
    for (const signal of SIGNALS) process.off(signal, atSignal)
  }
  process.on('exit', atExit)
  for (const signal of SIGNALS) process.on(signal, atSignal)
  const gone = once(child, 'close').then(
    () => said,
    (error: Error) => error.message,
  )
  return {
    ended: gone,
    async close() {
      kill(child)
      await Promise.race([gone, sleep(PATIENCE_MS, undefined, { ref: false })])
      await rm(profile, remove)
      forget()
    },
  }
}
