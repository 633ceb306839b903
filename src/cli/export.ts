import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Argv, CommandModule } from 'yargs'
import { writeAtomic } from '../data/files-node.ts'
import { UserError } from '../graph/errors.ts'
import { toOnnx } from '../train/trained.ts'
import { loadRun } from './load-node.ts'
import { result, say } from './output.ts'

const builder = (yargs: Argv) =>
  yargs
    .positional('run', { type: 'string', demandOption: true, describe: 'Run folder of a training' })
    .option('out', { type: 'string', describe: 'File to write [default: <run>/export.onnx]' })
    .option('opset', { type: 'number', default: 17, describe: 'Opset of the file, 17 to 21' })
    .option('probabilities', {
      type: 'boolean',
      default: false,
      describe: 'Add an output with the softmax of the logits',
    })
    .option('attention', {
      type: 'boolean',
      default: false,
      describe: 'Add an output attention.<i> for each block: what each token attends to',
    })
    .option('checkpoint', {
      choices: ['last', 'best'] as const,
      describe: 'Which weights [default: those of model.onnx]',
    })
    .option('overwrite', {
      type: 'boolean',
      default: false,
      describe: 'Replace the file when it is there already',
    })
    .example('$0 export runs/vit-lecture --opset 21 --probabilities --out vit.onnx', '')

type Flags = ReturnType<typeof builder> extends Argv<infer T> ? T : never

export const exportVerb: CommandModule<object, Flags> = {
  command: 'export <run>',
  describe: 'Write the model of a run as .onnx',
  builder,
  async handler({ run, out, opset, probabilities, attention, checkpoint, overwrite }) {
    const path = out ?? join(run, 'export.onnx')
    const taken = await stat(path).then(
      () => true,
      () => false,
    )
    if (taken && !overwrite)
      throw new UserError(`${path} exists already; choose another --out, or give --overwrite`)
    const bytes = toOnnx(await loadRun(run, checkpoint), { opset, probabilities, attention })
    await writeAtomic(path, bytes)
    say(`${path}  ${bytes.length.toLocaleString('en-US')} bytes, opset ${opset}`)
    result({ out: path, bytes: bytes.length, opset, probabilities, attention, checkpoint })
  },
}
