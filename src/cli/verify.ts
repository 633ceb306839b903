import type { Argv } from 'yargs'
import { buildModel } from '../../models/index.ts'
import type { Dataset } from '../data/dataset.ts'
import { preprocessingOf } from '../data/preprocess.ts'
import { randomTokens, rebuilt, renamed } from '../deploy/verify-file.ts'
import { UserError } from '../graph/errors.ts'
import { type DataSettings, loadData } from '../runs/data-node.ts'
import { isFolder } from '../runs/is-folder-node.ts'
import { loadModelFile, loadRun, type ModelFile, runtimeFor } from '../runs/model-file-node.ts'
import { deviceFor } from '../runs/plan-node.ts'
import { DEVICES } from '../runtime/device.ts'
import { nodeRuntime } from '../runtime/node.ts'
import type { Runtime } from '../runtime/session.ts'
import { number, whole } from '../settings/setting.ts'
import { note, result, say, sayLines, table } from '../terminal/output.ts'
import { batchOf, type FileInput, fileInput, fits } from '../train/classifier.ts'
import { anyBatch } from '../train/fixed-batch.ts'
import { openPredictor } from '../train/predictor.ts'
import { trainingPredictor, VERIFY, verify } from '../train/verify.ts'
import { numberOption } from './numbers.ts'
import { dataOption, externalDataOption, skipBadOption, timeoutOption } from './options.ts'
import type { Verb } from './verb.ts'

const builder = (yargs: Argv) =>
  yargs
    .positional('model', { type: 'string', demandOption: true, describe: '.onnx file, or run folder' })
    .option('device', {
      choices: Object.keys(DEVICES),
      array: true,
      defaultDescription: 'cpu wasm',
      describe: 'Where to run the file: onnxruntime-node on cpu, webgpu, cuda; onnxruntime-web on wasm',
      group: 'Device:',
    })
    .option('data', dataOption)
    .option('skip-bad', skipBadOption)
    .option(
      'images',
      numberOption(
        'images',
        whole('Test images (or rows of tokens) to compare', { default: VERIFY.count, group: 'Data' }),
      ),
    )
    .option('timeout', timeoutOption)
    .option('external-data', externalDataOption)
    .option(
      'tolerance',
      numberOption(
        'tolerance',
        number('Largest allowed difference of a logit', {
          ...{ above: 0, default: VERIFY.tolerance, group: 'Output', common: true },
        }),
      ),
    )
    .example('$0 verify runs/vit-lecture', 'compares model.onnx with the checkpoint it was exported from')

type Flags = ReturnType<typeof builder> extends Argv<infer T> ? T : never

/** Test images that fit the file, or for a text model rows of random tokens: what it is given does not matter here. */
async function examplesFor(input: FileInput, file: ModelFile, flags: DataSettings): Promise<Dataset> {
  if (input.kind === 'tokens') return randomTokens(input, file.info.classes ?? [])
  const preprocessing = preprocessingOf(file.info, input.shape, file.path)
  const { test, notice } = await loadData(input, flags, { preprocessing })
  if (notice) note(`NOTE  ${notice}`)
  fits(file.path, input, test)
  return test
}

export const verifyVerb: Verb<Flags> = {
  builder,
  async handler({ model, device, data, 'skip-bad': skipBad, images, tolerance, timeout, externalData }) {
    const file = await loadModelFile(model, { externalData })
    const input = fileInput(file.info, file.path)
    const batch = batchOf(input, VERIFY.batch)
    const trained = (await isFolder(model))
      ? await loadRun(model, note)
      : rebuilt(file.info, file.path, buildModel)
    const examples = await examplesFor(input, file, { data, skipBad })
    const opened: Runtime[] = []
    const open = async (name: string): Promise<Runtime> => {
      const runtime = await runtimeFor(file, name, { batch, timeout })
      opened.push(runtime)
      return runtime
    }
    const usual = await deviceFor(undefined, { notice: note })
    const reference = trained
      ? trainingPredictor(await nodeRuntime(usual), trained)
      : anyBatch(await openPredictor(await open(usual), file.info.bytes, { name: file.path }))
    const against = trained
      ? (await isFolder(model))
        ? "the training graph with the run's checkpoint"
        : "the training graph with the file's weights"
      : `its own numbers on ${usual} (the file does not say which model it holds)`
    const runtimes = []
    for (const name of [...new Set(device ?? [usual, 'wasm'])]) runtimes.push(await open(name))
    const named = renamed(examples, input.kind, input.name)
    const settings = { count: images, batch, tolerance }
    const verdicts = await verify(file.info.bytes, reference, named, runtimes, settings)
    await reference.close()
    for (const runtime of opened) await runtime.close()

    say(`${file.path} on ${images} examples of ${examples.name}, against ${against}\n`)
    sayLines(
      table(
        ['runtime', 'version', 'max abs diff', ''],
        verdicts.map(v => [
          v.runtime,
          v.version,
          v.error ? '–' : v.maxAbsDiff.toExponential(1),
          v.ok ? 'ok' : (v.error ?? `over ${tolerance}`),
        ]),
      ),
    )
    const ok = verdicts.every(v => v.ok)
    result({
      ok,
      file: file.path,
      images,
      tolerance,
      runtimes: Object.fromEntries(verdicts.map(({ runtime, ...rest }) => [runtime, rest])),
    })
    if (!ok) throw new UserError(`${file.path} does not give the same numbers everywhere`)
  },
}
