import { spawn } from 'node:child_process'
import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { realpath } from 'node:fs/promises'
import type { Server } from 'node:http'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Argv } from 'yargs'
import { DIGITS_FILE } from '../data/digits.ts'
import { DIGITS_PATH } from '../data/digits-node.ts'
import { exists, openFile, reason } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'
import { RUN_FILES } from '../runs/folder-node.ts'
import { WEB_FILES } from '../runtime/web-files.ts'
import { whole } from '../settings/setting.ts'
import { interrupted } from './interrupt.ts'
import { isFolder, loadModelFile } from './load-node.ts'
import { numberOption } from './numbers.ts'
import { note, result, say } from './output.ts'
import { hostNames, isLoopback } from './serve/request.ts'
import { type Files, filesOf, staticServer } from './serve/server.ts'
import type { Verb } from './verb.ts'

const PORT = 8765

const builder = (yargs: Argv) =>
  yargs
    .positional('run', {
      type: 'string',
      describe: 'Run folder or .onnx file to open first; the page can open others',
    })
    .option('host', {
      type: 'string',
      default: '127.0.0.1',
      describe: 'Address to listen on; any other address makes the page visible to the network',
    })
    .option(
      'port',
      numberOption(
        'port',
        whole('Port to listen on, 0 for any', {
          ...{ least: 0, most: 65_535, usually: `${PORT}, or any if that is taken` },
          ...{ group: 'Output', common: true },
        }),
      ),
    )
    .option('open', { type: 'boolean', default: false, describe: 'Open the page in the browser' })
    .example('$0 serve runs/vit-lecture', 'see what the model does, draw digits, continue training')

type Flags = ReturnType<typeof builder> extends Argv<infer T> ? T : never

export const serveVerb: Verb<Flags> = {
  builder,
  async handler({ run, host, port, open }) {
    const files = new Map([...(await labFiles()), ...(run === undefined ? [] : await runFiles(run))])
    const { address, family } = await addressOf(host)
    const local = isLoopback(address)
    const hosts = hostNames('localhost', '127.0.0.1', '::1', host, address)
    const server = staticServer(files, { warn: note, ...(local ? { hosts } : {}) })
    const taken = await listen(server, address, port)
    const name = local || !/^(0\.0\.0\.0|::)$/.test(address) ? address : 'localhost'
    const url = `http://${family === 6 && name === address ? `[${name}]` : name}:${taken}/`
    say(`The lab is at ${url}${run === undefined ? '' : ` with ${run}`}; Ctrl-C ends it.`)
    if (!local)
      note(
        'NOTE  everyone on the network can open it. Browsers give threads and WebGPU to https pages and to localhost only.',
      )
    result({ url, host: address, port: taken, ...(run === undefined ? {} : { run }) })
    if (open) openInBrowser(url)
    await interrupted()
    server.close()
    server.closeAllConnections()
  },
}

/** Where the built page is: in dist/, in which the program itself is too unless it runs from its sources. */
const LAB = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/lab' : '../../lab', import.meta.url),
)

/** The page, with the digits and onnxruntime-web, which are not copied into its folder. */
async function labFiles(): Promise<Files> {
  const files = await filesOf(LAB).catch(() => undefined)
  if (files?.has('/')) return new Map([...files, [`/${DIGITS_FILE}`, DIGITS_PATH], ...runtimeFiles()])
  throw new UserError(
    `the lab is not built: ${LAB} holds no index.html; build it in onnxgrad's folder with: npm run build`,
  )
}

function runtimeFiles(): [string, string][] {
  const folder = dirname(createRequire(import.meta.url).resolve('onnxruntime-web/wasm'))
  return Object.values(WEB_FILES)
    .flatMap(files => Object.values(files))
    .map(file => [`/runtime/${file}`, join(folder, file)])
}

/**
 * What the page looks for beside it.
 * @throws UserError when there is no model, a damaged one, or a link in its place in the run folder
 */
async function runFiles(run: string): Promise<Files> {
  const { path, info } = await loadModelFile(run, { externalData: 'leave' })
  if (info.outside.length)
    throw new UserError(
      `${path}: keeps weights in ${info.outside.join(', ')}; the lab reads models that are a single file`,
    )
  // A link that the user names is followed, once: later ones are none of the user's.
  if (!(await isFolder(run))) return new Map([['/model.onnx', await realpath(run)]])
  const folder = await realpath(run)
  const files = new Map([['/model.onnx', join(folder, RUN_FILES.model)]])
  const checkpoint = join(folder, RUN_FILES.last)
  if (await exists(checkpoint)) files.set('/checkpoint.safetensors', checkpoint)
  // They are opened for each request again, but here the user still looks.
  for (const file of files.values()) await openFile(file, { links: false }).then(open => open.close())
  return files
}

/** The address of a host's name, or itself. @throws UserError when there is none */
async function addressOf(host: string): Promise<LookupAddress> {
  if (!host) throw new UserError('--host must be a name or an address, such as 127.0.0.1')
  return lookup(host).catch((error: NodeJS.ErrnoException) => {
    throw new UserError(`cannot listen at ${host}: ${LISTEN[error.code ?? ''] ?? reason(error)}`)
  })
}

/** @returns the port @throws UserError when the address cannot be had */
async function listen(server: Server, address: string, port: number | undefined): Promise<number> {
  const at = (number: number) => {
    server.listen(number, address)
    return once(server, 'listening')
  }
  await at(port ?? PORT)
    .catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE' || port !== undefined) throw error
      return at(0)
    })
    .catch((error: NodeJS.ErrnoException) => {
      throw new UserError(
        `cannot listen at ${address}, port ${port ?? PORT}: ${LISTEN[error.code ?? ''] ?? reason(error)}`,
      )
    })
  const found = server.address()
  if (typeof found === 'object' && found) return found.port
  throw new Error('internal: the server has no port')
}

const LISTEN: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program does already; give another --port, or none',
  EACCES: 'ports below 1024 are kept from users; give a higher --port',
  EADDRNOTAVAIL: 'this machine has no such address; give another --host',
  ENOTFOUND: 'no machine has that name; give another --host',
}

const OPENERS: Readonly<Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>>> = {
  darwin: ['open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
}

function openInBrowser(url: string): void {
  const [program, ...args] = OPENERS[process.platform] ?? (['xdg-open'] as const)
  spawn(program, [...args, url], { stdio: 'ignore', detached: true })
    .on('error', () => note(`NOTE  ${program} is not available to open the browser; open ${url} yourself`))
    .unref()
}
