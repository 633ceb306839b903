import { join } from 'node:path'
import type { ArgumentsCamelCase, Argv } from 'yargs'
import { exists, makeFolders, writeAtomic } from '../data/files-node.ts'
import { fileFacts } from '../deploy/proof/weights.ts'
import type { Quantization, Quantized } from '../deploy/quantize/quantize.ts'
import { CALIBRATION_METHODS } from '../deploy/quantize/ranges.ts'
import { exportOnnx } from '../export/export.ts'
import { leastRuntime } from '../export/opsets.ts'
import { readOnnx } from '../export/read.ts'
import { adapterInputs, writeAdapter } from '../finetune/adapter.ts'
import { headOf } from '../finetune/head.ts'
import { UserError } from '../graph/errors.ts'
import { defined, fieldsOf } from '../graph/keys.ts'
import { edited } from '../nn/edit.ts'
import { flagOf, shellCommand } from '../runs/command.ts'
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
import { isFolder } from '../runs/is-folder-node.ts'
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

const FORM = 'Smaller forms for inference'
const OUTPUT = 'Output:'

const builder = (yargs: Argv) =>
  yargs
    .positional('run', {
      type: 'string',
      demandOption: true,
      describe: 'Run folder of a training, or an .onnx file',
    })
    .option('precision', {
      choices: PRECISIONS,
      describe:
        'float16: half the size. int8: a quarter, with value ranges calibrated on training data. int8-dynamic: a quarter, without data. float32: optimized only',
      group: `${FORM}:`,
    })
    .option(
      'max-drop',
      numberOption(
        'maxDrop',
        number('Write the smallest form that loses at most this many points of accuracy on the test set', {
          ...{ least: 0, group: FORM, common: true },
        }),
      ),
    )
    .option(
      'qat',
      numberOption(
        'qat',
        whole('Epochs of quantization-aware training, which round as the int8 file does', {
          ...{ least: 0, group: FORM, common: true },
          usually: '0; 1 with --max-drop, if int8 alone loses too much',
        }),
      ),
    )
    .option('keep', {
      type: 'string',
      array: true,
      requiresArg: true,
      describe: 'Layers that stay float32, by name, such as head or blocks.0.*',
      defaultDescription: 'int8: the few that matter most, by measurement; else none',
      group: `${FORM}:`,
    })
    .option('method', {
      choices: CALIBRATION_METHODS,
      hidden: true,
      describe: 'How int8 value ranges are chosen',
      defaultDescription: 'the one with the smallest error',
      group: `${FORM}:`,
    })
    .option(
      'calibration',
      numberOption(
        'calibration',
        whole('Training examples that int8 value ranges are calibrated on', { group: FORM, usually: '512' }),
      ),
    )
    .option('reduce-range', {
      type: 'boolean',
      default: false,
      hidden: true,
      describe: 'int8 weights of 7 bits, for x86 processors without VNNI, which add products in 16 bits',
      group: `${FORM}:`,
    })
    .option('optimize', {
      type: 'boolean',
      default: false,
      describe: 'Fold batch norms and constants into the weights; with --precision always done',
      group: `${FORM}:`,
    })
    .option('data', {
      ...dataOption,
      describe: 'Examples for --precision int8 and --max-drop: a data set or a folder, as for train',
      defaultDescription: 'those of the run; for a file as for train',
    })
    .option('text', textOption)
    .option('skip-bad', skipBadOption)
    .option('out', {
      type: 'string',
      describe: 'File to write',
      defaultDescription: '<run>/export.onnx; with --precision <run>/model.<precision>.onnx',
      group: OUTPUT,
    })
    .option('overwrite', {
      type: 'boolean',
      default: false,
      describe: 'Replace the file if it exists',
      group: OUTPUT,
    })
    .option('checkpoint', {
      choices: ['last', 'best'] as const,
      describe: 'Which weights to export',
      defaultDescription: 'those of model.onnx',
      group: OUTPUT,
    })
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
      group: OUTPUT,
    })
    .option('attention', {
      type: 'boolean',
      default: false,
      describe: 'Add the attention weights of each block as outputs attention.<i>',
      group: OUTPUT,
    })
    .option('adapter', {
      type: 'boolean',
      default: false,
      describe:
        'Of a run with --lora: write base.onnx, which takes adapters as inputs, and adapter.safetensors; --out is a folder',
      group: OUTPUT,
    })
    .option('external-data', externalDataOption)
    .example('$0 export runs/x --opset 21 --probabilities', 'for a newer runtime, with one more output')
    .example('$0 export runs/x --precision int8', 'a quarter of the size')
    .example('$0 export runs/x --max-drop 0.5', 'the smallest form that loses at most 0.5 points')
    .example('$0 export x.onnx --precision int8 --data DIR', 'a file from elsewhere')
    .example('$0 export runs/x --adapter --out adapter/', 'the updates of a run with --lora')

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
  { keep, method, calibration, qat, reduceRange }: Given,
  { options, begin }: Following,
): FormSettings => ({
  ...defined({ keep, method, qat, examples: calibration }),
  reduceRange,
  onStage: line => note(line),
  onTraining: begin,
  training: options,
})

/** @throws UserError for a flag that would have no effect */
function refuseUnused(flags: Given, ofFile: boolean): void {
  const { run, precision, maxDrop, keep, attention, adapter } = flags
  const given = (...names: readonly string[]) =>
    names.find(name => flags[name] !== undefined && flags[name] !== false)
  // The first form that --max-drop tries is int8.
  const form = precision ?? (maxDrop === undefined ? 'float32' : 'int8')
  const calibrating = given('qat', 'method', 'calibration')
  if (calibrating && form !== 'int8')
    throw new UserError(`${flagOf(calibrating)} is for --precision int8, or for --max-drop alone`)
  if (keep && form === 'float32')
    throw new UserError('--keep is for --precision float16, int8 and int8-dynamic, or for --max-drop alone')
  const data = given('data', 'text', 'skipBad')
  if (data && form !== 'int8' && form !== 'float16' && maxDrop === undefined)
    throw new UserError(
      `${flagOf(data)} is for --precision int8, --precision float16 and --max-drop, which read examples`,
    )
  if (given('reduceRange') && !form.startsWith('int8'))
    throw new UserError('--reduce-range is for --precision int8 and int8-dynamic, or for --max-drop alone')
  const formed = given('precision', 'maxDrop', 'optimize')
  const plain = attention ? '--attention' : adapter ? '--adapter' : undefined
  if (plain && formed) throw new UserError(`${plain} cannot be combined with ${flagOf(formed)}`)
  if (plain && ofFile) throw new UserError(`${plain} is for run folders; ${run} is a file`)
}

/** A loss that rounds to nothing is none. */
function lost({ drop, accuracy }: Tried): string {
  const points = Math.abs(drop).toFixed(2)
  const change = Number(points) === 0 ? 'as before' : `${points} points ${drop > 0 ? 'less' : 'more'}`
  return `accuracy ${percent(accuracy)} on the test set, ${change}`
}

/** What a form is, for readers. */
function described(path: string, name: string, bytes: Uint8Array): string {
  const { form, opset, onnxruntime } = fileFacts(path, readOnnx(bytes, path))
  // What is exported as it is may be a file of any form.
  const words = name === 'float32' ? form : name
  return `${path}  ${size(bytes)}, ${words}, opset ${opset} (onnxruntime ${onnxruntime} and later)`
}

/** A form for inference of the model, or the smallest one that keeps the accuracy. */
async function exportForm(flags: Given, path: string, following: Following): Promise<void> {
  const { run, precision, opset, probabilities, maxDrop, checkpoint, externalData } = flags
  const { data, text, skipBad } = flags
  const options = { opset, probabilities }
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
      say(`${described(path, form.name, form.bytes)}${last ? `, ${lost(last)}` : ''}`)
      return result({ out: path, bytes: form.bytes.length, form: form.name, ...options, tried })
    }
    const form = await formOf(runtime, source, precision ?? 'float32', settings)
    const bytes = exportOnnx(form.trained, options)
    await writeAtomic(path, bytes)
    say(described(path, form.name, bytes))
    const { kept, deviation } = quantizationOf(form) ?? {}
    if (kept?.length) say(`in float32, since that lowers the error: ${kept.join(', ')}`)
    if (form.name !== 'float32')
      say(`measure it with: ${shellCommand('onnxgrad', 'verify', path, '--against', run)}`)
    result({ out: path, bytes: bytes.length, form: form.name, ...options, kept, deviation })
  } finally {
    await runtime.close()
  }
}

const quantizationOf = ({ trained }: Form): Quantization | undefined =>
  'quantization' in trained ? (trained as Quantized).quantization : undefined

/** The file to write, where none is named. */
function pathFor({ run, out, precision, maxDrop }: Given, ofFile: boolean): string {
  if (out !== undefined) return out
  if (!ofFile) return join(run, precision ? `model.${precision}.onnx` : 'export.onnx')
  return run.replace(/\.onnx$/, `.${precision ?? (maxDrop === undefined ? 'float32' : 'small')}.onnx`)
}

export const exportVerb: Verb<Flags> = {
  builder,
  async handler(flags) {
    const { run, opset, probabilities, attention, checkpoint, precision, optimize, maxDrop } = flags
    const ofFile = run.endsWith('.onnx') && !(await isFolder(run))
    refuseUnused(flags, ofFile)
    if (flags.adapter) return exportAdapter(flags)
    const path = pathFor(flags, ofFile)
    await refuseExisting([path], flags)
    if (precision !== undefined || maxDrop !== undefined || optimize || ofFile) {
      const following = followed(flagOf)
      try {
        return await exportForm(flags, path, following)
      } catch (error) {
        if (!following.options.signal.aborted) throw error
        note('stopped; nothing was written')
        process.exitCode = following.code
        return
      } finally {
        following.end()
      }
    }
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
