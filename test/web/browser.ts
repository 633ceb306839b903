import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'

/** Debian's, unless the environment names another. */
const executable = process.env.CHROMIUM ?? '/usr/bin/chromium'

/** Why browser tests cannot run here; nothing where they can. */
export const noBrowser: string | undefined = existsSync(executable)
  ? undefined
  : `skipped: no Chromium at ${executable} (CHROMIUM names another)`

/** Keeps Chromium from calling its maker's servers, and lets it start as root. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

const NO_GPU = ['--disable-gpu']

/** SwiftShader, a GPU in software. */
const GPU = [
  '--enable-unsafe-webgpu',
  '--enable-features=Vulkan,WebGPU',
  '--use-webgpu-adapter=swiftshader',
  '--use-vulkan=swiftshader',
]

export const launch = ({ gpu = false, flags = [] as readonly string[] } = {}): Promise<Browser> =>
  chromium.launch({ executablePath: executable, args: [...FLAGS, ...(gpu ? GPU : NO_GPU), ...flags] })

/** What a page complains about: uncaught errors, the console's errors and warnings, requests to other hosts. */
export function complaintsOf(page: Page, origin: string): string[] {
  const complaints: string[] = []
  page.on('pageerror', error => complaints.push(`uncaught: ${error.message}`))
  page.on('console', message => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`console: ${message.text()}`)
  })
  page.on('request', request => {
    const url = new URL(request.url())
    if (url.origin !== origin && !['data:', 'blob:'].includes(url.protocol))
      complaints.push(`request: ${url}`)
  })
  return complaints
}
