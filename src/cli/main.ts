#!/usr/bin/env node
import yargs from 'yargs'
import { hideBin } from 'yargs/helpers'
import { codeOf } from '../data/files-node.ts'
import { debugLevel } from '../graph/debug.ts'
import { UserError } from '../graph/errors.ts'
import { honourNohup } from '../terminal/interrupt.ts'
import { guardOutput, note, printFor } from '../terminal/output.ts'
import { refuseRepeated } from '../terminal/repeated.ts'
import { VERSION } from '../version.ts'
import { VERBS } from './verbs.ts'

/** Exit code of a program that did not do its work; 130 (128 + SIGINT) is kept for Ctrl-C. */
const FAILED = 1

/** Whether it is a mistake of the user's; yargs keeps only the message of what a check of a flag throws, in an error of its own. */
const isMistake = (error: unknown): boolean =>
  error instanceof UserError || (error instanceof Error && error.name === 'YError')

function fail(thrown: unknown): never {
  // Whatever file it was that could not be opened any more.
  const error =
    codeOf(thrown) === 'EMFILE'
      ? new UserError('the limit on open files is too low; raise it with: ulimit -n 1024')
      : thrown
  const text = error instanceof Error ? error.message : String(error)
  const debug = debugLevel() > 0
  // A mistake is one line; anything else is ours, and says how to see more.
  const hint = isMistake(error) || debug ? '' : ' (a bug? set ONNXGRAD_DEBUG=1 to see where)'
  note(`onnxgrad: ${text.replace(/\s*\n\s*/g, ' ')}${hint}`)
  if (debug && error instanceof Error) for (const line of (error.stack ?? '').split('\n')) note(line)
  process.exit(FAILED)
}

guardOutput()
honourNohup()

/** Short help lists what most people need. */
const HELP_ALL = ['help-all', 'Show all options'] as const

const typed = hideBin(process.argv)
// Without a verb, and for --help-all, people want to read.
const args = typed.length === 0 || typed.includes('--help-all') ? [...typed, '--help'] : typed

const program = yargs(args)
  .scriptName('onnxgrad')
  .usage('$0 <verb>\n\nDefine a model in TypeScript, train it on the stock ONNX Runtime, ship it as .onnx')
  .option('json', {
    type: 'boolean',
    default: false,
    global: true,
    describe: 'Print the result as JSON on stdout, everything else on stderr',
  })
  .option('cache', {
    type: 'string',
    global: true,
    hidden: true,
    describe:
      'Folder for downloads [default: $ONNXGRAD_CACHE, $XDG_CACHE_HOME, or the cache folder of the platform]',
  })
  .middleware(({ _: [verb], json, cache }) => {
    refuseRepeated(args, program)
    printFor(String(verb ?? ''), Boolean(json))
    if (cache !== undefined) process.env.ONNXGRAD_CACHE = String(cache)
  }, true)
  .demandCommand(1, 'say what to do: one of the verbs above')
  .strict()
  .recommendCommands()
  .version(VERSION)
  .help()
  .alias('h', 'help')
  .showHidden(...HELP_ALL)
  .wrap(Math.min(110, process.stdout.columns ?? 100))
  .exitProcess(false)
  .fail((message, error) => {
    throw error ?? new UserError(`${message}; see: onnxgrad --help`)
  })
for (const { load, ...verb } of VERBS)
  program.command({
    ...verb,
    async builder(command) {
      const { builder } = await load()
      await builder?.(command)
      // yargs forgets it where a command begins.
      return command.showHidden(...HELP_ALL)
    },
    async handler(flags) {
      await (await load()).handler(flags)
    },
  })

try {
  await program.parseAsync()
} catch (error) {
  fail(error)
}
