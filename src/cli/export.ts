import { join } from 'node:path'
import type { Argv } from 'yargs'
import { exists, makeFolders, writeAtomic } from '../data/files-node.ts'
import { exportOnnx } from '../export/export.ts'
import { leastRuntime } from '../export/opsets.ts'
import { adapterInputs, writeAdapter } from '../finetune/adapter.ts'
import { headOf } from '../finetune/head.ts'
import { UserError } from '../graph/errors.ts'
import { fieldsOf } from '../graph/keys.ts'
import { edited } from '../nn/edit.ts'
import { loadAdapted, loadRun } from '../runs/model-file-node.ts'
import { trainedBeside } from '../runs/tuned.ts'
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
    .option('adapter', {
      type: 'boolean',
      default: false,
      describe:
        'Of a run with --lora: write base.onnx, which takes adapters as inputs, and adapter.safetensors; --out is a folder',
    })
    .option('overwrite', {
      type: 'boolean',
      default: false,
      describe: 'Replace the file if it exists',
    })
    .example('$0 export runs/vit-lecture --opset 21 --probabilities --out vit.onnx', '')
    .example(
      '$0 export runs/x-finetune --adapter --out adapter/',
      'the updates of a run with --lora, on their own',
    )

type Flags = ReturnType<typeof builder> extends Argv<infer T> ? T : never

/** @throws UserError for a file that is there already */
async function refuseExisting(
  paths: readonly string[],
  { overwrite }: Pick<Flags, 'overwrite'>,
): Promise<void> {
  for (const path of paths)
    if ((await exists(path)) && !overwrite)
      throw new UserError(`${path} exists already; choose another --out, or give --overwrite`)
}

const size = (bytes: Uint8Array): string => `${bytes.length.toLocaleString('en-US')} bytes`

/** A base that adapters share, and the adapter of a run. */
async function exportAdapter(flags: Flags): Promise<void> {
  const { run, out = run, opset, probabilities, checkpoint } = flags
  if (flags.attention) throw new UserError('--attention cannot be combined with --adapter')
  const files = { base: join(out, 'base.onnx'), adapter: join(out, 'adapter.safetensors') }
  await refuseExisting(Object.values(files), flags)
  const trained = await loadAdapted(run, note, checkpoint)
  const { config } = trained.model
  const options = { include: trainedBeside(headOf(trained).parameters, fieldsOf(config)) }
  const { model, ...rest } = adapterInputs(trained, options)
  const base = exportOnnx({ ...rest, model: edited(model, { config: {} }) }, { opset, probabilities })
  const adapter = writeAdapter(trained, options)
  await makeFolders(out)
  await writeAtomic(files.base, base)
  await writeAtomic(files.adapter, adapter)
  const inputs = Object.keys(model.inputs).length - 1
  say(`${files.base}  ${size(base)}, with ${inputs} inputs for an adapter`)
  say(`${files.adapter}  ${size(adapter)}`)
  result({
    base: files.base,
    adapter: files.adapter,
    bytes: base.length,
    adapterBytes: adapter.length,
    opset,
  })
}

export const exportVerb: Verb<Flags> = {
  builder,
  async handler(flags) {
    if (flags.adapter) return exportAdapter(flags)
    const { run, out, opset, probabilities, attention, checkpoint } = flags
    const path = out ?? join(run, 'export.onnx')
    await refuseExisting([path], flags)
    const bytes = exportOnnx(await loadRun(run, note, checkpoint), {
      opset,
      probabilities,
      ...(attention ? { intermediates: 'attention.*' } : {}),
    })
    await writeAtomic(path, bytes)
    say(`${path}  ${size(bytes)}, opset ${opset} (onnxruntime ${leastRuntime(opset)} and later)`)
    result({ out: path, bytes: bytes.length, opset, probabilities, attention, checkpoint })
  },
}
