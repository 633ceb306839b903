import { spawn } from 'node:child_process'
import { realpath } from 'node:fs/promises'
import { join } from 'node:path'
import type { Argv } from 'yargs'
import { exists, openFile } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'
import { RUN_FILES } from '../runs/folder-node.ts'
import { isFolder } from '../runs/is-folder-node.ts'
import { loadModelFile } from '../runs/model-file-node.ts'
import { labFiles } from '../serve/lab.ts'
import { addressOf, listen, PORT } from '../serve/listen.ts'
import { hostNames, isLoopback } from '../serve/request.ts'
import { type Files, staticServer } from '../serve/server.ts'
import { whole } from '../settings/setting.ts'
import { interrupted } from '../terminal/interrupt.ts'
import { note, result, say } from '../terminal/output.ts'
import { numberOption } from './numbers.ts'
import type { Verb } from './verb.ts'

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
