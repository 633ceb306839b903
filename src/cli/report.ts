import { join } from 'node:path'
import type { Argv } from 'yargs'
import { writeAtomic } from '../data/files-node.ts'
import { byteSize } from '../report/words.ts'
import { flagOf } from '../runs/command.ts'
import { RUN_FILES } from '../runs/folder-node.ts'
import { openRun } from '../runs/open-node.ts'
import { deviceFor } from '../runs/plan-node.ts'
import { reportOfRun } from '../runs/report-node.ts'
import { nodeRuntime } from '../runtime/node.ts'
import { note, result, say } from '../terminal/output.ts'
import { dataOption, deviceOption, textOption, threadsOption } from './options.ts'
import type { Verb } from './verb.ts'

const builder = (yargs: Argv) =>
  yargs
    .positional('run', { type: 'string', demandOption: true, describe: 'Run folder' })
    .option('data', { ...dataOption, describe: 'Data of the run, if they have been moved' })
    .option('text', textOption)
    .option('device', deviceOption)
    .option('threads', threadsOption)
    .example('$0 report runs/vit-lecture', 'writes runs/vit-lecture/report.html')

type Flags = ReturnType<typeof builder> extends Argv<infer T> ? T : never

export const reportVerb: Verb<Flags> = {
  builder,
  async handler({ run, data, text, device, threads }) {
    const context = { label: flagOf, notice: (line: string) => note(`NOTE  ${line}`) }
    const { trained, data: source } = await openRun(run, { data, text }, context)
    if (source.notice) note(`NOTE  ${source.notice}`)
    const runtime = await nodeRuntime(await deviceFor(device, { notice: note }))
    const page = await reportOfRun(run, { trained, data: source, runtime, threads })
    await runtime.close()
    const file = join(run, RUN_FILES.report)
    await writeAtomic(file, page)
    const bytes = Buffer.byteLength(page)
    say(`report    ${file}  ${byteSize(bytes)}`)
    result({ file, bytes })
  },
}
