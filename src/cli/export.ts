import { join } from 'node:path'
import type { ArgumentsCamelCase, Argv } from 'yargs'
import { exists, makeFolders, writeAtomic } from '../data/files-node.ts'
import type { Quantization, Quantized } from '../deploy/quantize/quantize.ts'
import { CALIBRATION_METHODS } from '../deploy/quantize/ranges.ts'
import { exportOnnx } from '../export/export.ts'
import { leastRuntime } from '../export/opsets.ts'
import { adapterInputs, writeAdapter } from '../finetune/adapter.ts'
import { headOf } from '../finetune/head.ts'
import { UserError } from '../graph/errors.ts'
import { defined, fieldsOf } from '../graph/keys.ts'
import { edited } from '../nn/edit.ts'
import { flagOf } from '../runs/command.ts'
import { messages } from '../runs/definition.ts'
import { deployable } from '../runs/deployable-node.ts'
import {
  type Form,
  type FormSettings,
  formOf,
  PRECISIONS,
  smallestForm,
  type Tried,
} from '../runs/forms-node.ts'
import { loadAdapted, loadRun } from '../runs/model-file-node.ts'
import { deviceFor } from '../runs/plan-node.ts'
import { trainedBeside } from '../runs/tuned.ts'
import { workerRuntime } from '../runtime/worker-node.ts'
import { number, whole } from '../settings/setting.ts'
import { note, percent, result, say } from '../terminal/output.ts'
import { type Following, followed } from '../terminal/progress.ts'
import { numberOption } from './numbers.ts'
import { dataOption, externalDataOption, skipBadOption, textOption } from './options.ts'
import type { Verb } from './verb.ts'

const FORM = 'Precision:'

const builder = (yargs: Argv) =>
  yargs
    .positional('run', {
      type: 'string',
      demandOption: true,
      describe: 'Run folder of a training, or an .onnx file',
    })
    .option('out', {
      type: 'string',
      describe: 'File to write [default: <run>/export.onnx; with --precision <run>/model.<precision>.onnx]',
    })
    .option('precision', {
      choices: PRECISIONS,
      describe:
        'Smaller forms for inference: float16 halves the weights; int8 has a quarter, with ranges calibrated on training data; int8-dynamic finds ranges at run time',
      group: FORM,
    })
    .option('optimize', {
      type: 'boolean',
      default: false,
      describe: 'Fold batch norms and constants into the weights; every --precision does',
      group: FORM,
    })
    .option(
      'max-drop',
      numberOption('maxDrop', {
        ...number('Write the smallest form that loses at most so many points of accuracy on the test set', {
          ...{ least: 0, group: 'Output' },
        }),
      }),
    )
    .option(
      'qat',
      numberOption(
        'qat',
        whole('Epochs of quantization-aware training before the weights become int8', {
          ...{ least: 0, group: 'Output' },
        }),
      ),
    )
    .option('keep', {
      type: 'string',
      array: true,
      describe:
        'Layers that stay float32, by the names of their weights, with * for any characters [default: those where measurement shows that it pays]',
      group: FORM,
    })
    .option('method', {
      choices: CALIBRATION_METHODS,
      describe: 'How int8 ranges are chosen [default: the one that is closest to the model]',
      group: FORM,
    })
    .option(
      'calibration',
      numberOption('calibration', {
        ...whole('Training examples that int8 ranges are chosen on', { group: 'Output' }),
        usually: '512',
      }),
    )
    .option('data', dataOption)
    .option('text', textOption)
    .option('skip-bad', skipBadOption)
    .option('external-data', externalDataOption)
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
    .example('$0 export runs/vit-lecture --precision int8', 'a quarter of the size, in 8-bit integers')
    .example(
      '$0 export runs/vit-lecture --max-drop 0.5',
      'the smallest form that loses at most half a point of accuracy',
    )
    .example('$0 export resnet18.onnx --precision int8 --data pictures/', 'a file from elsewhere')
    .example(
      '$0 export runs/x-finetune --adapter --out adapter/',
      'the updates of a run with --lora, on their own',
    )

type Flags = ReturnType<typeof builder> extends Argv<infer T> ? T : never
type Given = ArgumentsCamelCase<Flags>

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

/** The forms and the limit that flags ask for. */
const settingsOf = (
  { keep, method, calibration, qat }: Given,
  { options, begin }: Following,
): FormSettings => ({
  ...defined({ keep, method, qat, examples: calibration }),
  onStage: line => note(line),
  onTraining: begin,
  training: options,
})

/** Refuses flags that would say nothing. */
function refuseStray(flags: Given): void {
  const { precision, optimize, qat, method, calibration, keep, maxDrop, attention } = flags
  const int8 = precision === 'int8' || (precision === undefined && maxDrop !== undefined)
  for (const [name, value] of Object.entries({ qat, method, calibration }))
    if (value !== undefined && !int8) throw new UserError(`--${name} is for --precision int8`)
  if (keep !== undefined && !int8 && (precision ?? 'float32') === 'float32')
    throw new UserError('--keep is for --precision float16, int8 and int8-dynamic')
  const form = precision !== undefined || maxDrop !== undefined || optimize
  if (attention && form)
    throw new UserError('--attention cannot be combined with --precision, --optimize or --max-drop')
}

const lost = ({ drop, accuracy }: Tried): string =>
  `accuracy ${percent(accuracy)} on the test set, ${drop > 0 ? `${drop.toFixed(2)} points less` : drop < 0 ? `${(-drop).toFixed(2)} points more` : 'as before'}`

/** A form for inference of the model, or the smallest one that keeps the accuracy. */
async function exportForm(flags: Given): Promise<void> {
  const { run, precision, opset, probabilities, maxDrop, checkpoint, externalData } = flags
  const { data, text, skipBad } = flags
  const path = pathFor(flags)
  const options = { opset, probabilities }
  const following = followed(flagOf)
  const context = messages(following.options)
  const settings = settingsOf(flags, following)
  const source = await deployable(run, { data, text, skipBad }, { checkpoint, externalData }, context)
  const runtime = await workerRuntime(await deviceFor(undefined, context))
  try {
    if (maxDrop !== undefined) {
      const { form, tried } = await smallestForm(runtime, source, maxDrop, precision, settings, options)
      await writeAtomic(path, form.bytes)
      for (const t of tried.slice(0, -1)) say(`${t.name}: ${lost(t)}: too much`)
      const { [tried.length - 1]: last } = tried
      say(`${path}  ${size(form.bytes)}, ${form.name}${last ? `, ${lost(last)}` : ''}`)
      return result({ out: path, bytes: form.bytes.length, form: form.name, ...options, tried })
    }
    const form = await formOf(runtime, source, precision ?? 'float32', settings)
    const bytes = exportOnnx(form.trained, options)
    await writeAtomic(path, bytes)
    say(`${path}  ${size(bytes)}, ${form.name}, opset ${opset}`)
    const { kept, deviation } = quantizationOf(form)
    if (kept.length) say(`left float32, because it pays: ${kept.join(', ')}`)
    if (form.name !== 'float32') say(`what it costs:  onnxgrad verify ${path} --against ${run}`)
    result({ out: path, bytes: bytes.length, form: form.name, ...options, kept, deviation })
  } finally {
    following.end()
    await runtime.close()
  }
}

const quantizationOf = ({ trained }: Form): Partial<Quantization> & Pick<Quantization, 'kept'> =>
  ('quantization' in trained ? (trained as Quantized).quantization : undefined) ?? { kept: [] }

const pathFor = ({ run, out, precision }: Flags): string =>
  out ??
  (run.endsWith('.onnx')
    ? run.replace(/\.onnx$/, `.${precision ?? 'small'}.onnx`)
    : join(run, precision ? `model.${precision}.onnx` : 'export.onnx'))

export const exportVerb: Verb<Flags> = {
  builder,
  async handler(flags) {
    refuseStray(flags)
    if (flags.adapter) return exportAdapter(flags)
    const { run, opset, probabilities, attention, checkpoint, precision, optimize, maxDrop } = flags
    const path = pathFor(flags)
    await refuseExisting([path], flags)
    if (precision !== undefined || maxDrop !== undefined || optimize || run.endsWith('.onnx'))
      return exportForm(flags)
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
