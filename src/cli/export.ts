import { join } from 'node:path'
import type { Argv } from 'yargs'
import { exists, writeAtomic } from '../data/files-node.ts'
import { exportOnnx } from '../export/export.ts'
import { leastRuntime } from '../export/opsets.ts'
import { UserError } from '../graph/errors.ts'
import { loadRun } from '../runs/model-file-node.ts'
import { whole } from '../settings/setting.ts'
import { note, result, say } from '../terminal/output.ts'
import { numberOption } from './numbers.ts'
import type { Verb } from './verb.ts'

const builder = (yargs: Argv) =>
  yargs
    .positional('run', { type: 'string', demandOption: true, describe: 'Run folder of a training' })
    .option('out', { type: 'string', describe: 'File to write [default: <run>/export.onnx]' })
    .option(
      'opset',
      numberOption(
        'opset',
        whole('Opset of the file; higher opsets need a newer onnxruntime', {
          ...{ least: 17, most: 24, default: 17, group: 'Output', common: true },
        }),
      ),
    )
    .option('probabilities', {
      type: 'boolean',
      default: false,
      describe: 'Add an output with the softmax of the logits',
    })
    .option('attention', {
      type: 'boolean',
      default: false,
      describe: 'Add the attention weights of each block as outputs attention.<i>',
    })
    .option('checkpoint', {
      choices: ['last', 'best'] as const,
      describe: 'Which weights to export [default: those of model.onnx]',
    })
    .option('overwrite', {
      type: 'boolean',
      default: false,
      describe: 'Replace the file if it exists',
    })
    .example('$0 export runs/vit-lecture --opset 21 --probabilities --out vit.onnx', '')

type Flags = ReturnType<typeof builder> extends Argv<infer T> ? T : never

export const exportVerb: Verb<Flags> = {
  builder,
  async handler({ run, out, opset, probabilities, attention, checkpoint, overwrite }) {
    const path = out ?? join(run, 'export.onnx')
    if ((await exists(path)) && !overwrite)
      throw new UserError(`${path} exists already; choose another --out, or give --overwrite`)
    const bytes = exportOnnx(await loadRun(run, note, checkpoint), {
      opset,
      probabilities,
      ...(attention ? { intermediates: 'attention.*' } : {}),
    })
    await writeAtomic(path, bytes)
    say(
      `${path}  ${bytes.length.toLocaleString('en-US')} bytes, opset ${opset} (onnxruntime ${leastRuntime(opset)} and later)`,
    )
    result({ out: path, bytes: bytes.length, opset, probabilities, attention, checkpoint })
  },
}
