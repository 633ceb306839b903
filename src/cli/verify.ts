import type { Argv } from 'yargs'
import type { Dataset } from '../data/dataset.ts'
import { writeAtomic } from '../data/files-node.ts'
import { preprocessingOf } from '../data/preprocess.ts'
import { PROOF_DEVICES, placesOf } from '../deploy/proof/places-node.ts'
import { BATCH } from '../deploy/proof/prove.ts'
import { proveHere } from '../deploy/proof/prove-node.ts'
import { LIMITS } from '../deploy/proof/verdict.ts'
import { randomExamples } from '../deploy/random-examples.ts'
import { exampleInput, randomTokens } from '../deploy/verify-file.ts'
import { UserError } from '../graph/errors.ts'
import { keysOf } from '../graph/keys.ts'
import { proofPage } from '../report/proof-node.ts'
import { type DataSettings, loadData } from '../runs/data-node.ts'
import { isFolder } from '../runs/is-folder-node.ts'
import { loadModelFile, type ModelFile, runtimeFor } from '../runs/model-file-node.ts'
import { dataOfRun, runOf } from '../runs/own-data-node.ts'
import { deviceFor } from '../runs/plan-node.ts'
import { referenceFor } from '../runs/reference-node.ts'
import { number, whole } from '../settings/setting.ts'
import { note, result, say, sayLines } from '../terminal/output.ts'
import { proofText } from '../terminal/proof-text.ts'
import { batchOf, type FileInput, fits } from '../train/classifier.ts'
import { inputPorts } from '../train/predictor.ts'
import { numberOption } from './numbers.ts'
import { dataOption, externalDataOption, skipBadOption, textOption, timeoutOption } from './options.ts'
import type { Verb } from './verb.ts'

const group = 'Output' as const

const builder = (yargs: Argv) =>
  yargs
    .positional('model', { type: 'string', demandOption: true, describe: '.onnx file, or run folder' })
    .option('against', {
      type: 'string',
      describe:
        "What the file must agree with: a run folder, or another .onnx file [default: the run's checkpoint, or the model that the file names]",
    })
    .option('device', {
      choices: keysOf(PROOF_DEVICES),
      array: true,
      defaultDescription: 'cpu wasm',
      describe:
        'Where to run the file: onnxruntime-node on cpu, webgpu, cuda; onnxruntime-web on wasm, and in Chromium, Chrome or Edge (CHROME_PATH names one)',
      group: 'Device:',
    })
    .option('all', {
      type: 'boolean',
      default: false,
      describe: 'Run the file on everything that works on this machine',
      group: 'Device:',
    })
    .option('data', dataOption)
    .option('skip-bad', skipBadOption)
    .option('text', textOption)
    .option(
      'images',
      numberOption('images', {
        ...whole('Most test images (or rows of tokens) to compare on each device', { group: 'Data' }),
        usually: 'the whole test set on cpu and cuda, 1,000 on wasm, 256 on webgpu',
      }),
    )
    .option(
      'seconds',
      numberOption(
        'seconds',
        number('How long each file is timed on each device, at batch 1 and at batch 64; 0 to skip it', {
          ...{ least: 0, default: 0.3, group: 'Device' },
        }),
      ),
    )
    .option('timeout', timeoutOption)
    .option('external-data', externalDataOption)
    .option(
      'tolerance',
      numberOption(
        'tolerance',
        number('Largest allowed difference of an output of a float32 file', {
          ...{ above: 0, default: LIMITS.tolerance, group, common: true },
        }),
      ),
    )
    .option(
      'max-drop',
      numberOption('maxDrop', {
        ...number('Largest allowed drop of accuracy, in points', { least: 0, group, common: true }),
        usually: `${LIMITS.maxDrop} for int8 and float16 files, none for float32`,
      }),
    )
    .option(
      'min-agreement',
      numberOption('minAgreement', {
        ...number("Smallest share of predictions that must equal the reference's", {
          least: 0,
          most: 1,
          group,
          common: true,
        }),
        usually: `${LIMITS.minAgreement} for int8 and float16 files, none for float32`,
      }),
    )
    .option('report', { type: 'string', describe: 'Write the proof as a page, .html', group: 'Output:' })
    .option('out', { type: 'string', describe: 'Write the proof as JSON', group: 'Output:' })
    .example('$0 verify runs/vit-lecture', 'compares model.onnx with the checkpoint it was exported from')
    .example(
      '$0 verify int8.onnx --against runs/vit-lecture',
      'size, accuracy and speed, beside those of the run',
    )
    .example(
      '$0 verify int8.onnx --against model.onnx --all --report proof.html',
      'on everything this machine has',
    )

type Flags = ReturnType<typeof builder> extends Argv<infer T> ? T : never

interface Examples {
  readonly data: Dataset
  /** Whether labels are the truth. */
  readonly labelled: boolean
}

const runAt = async (path: string) => runOf(path, await isFolder(path))

/**
 * The run's own test set, or that of the run that is the reference, or that of `--data` or `--text`. Other models get random inputs,
 * on which only differences mean something.
 */
async function examplesFor(
  input: FileInput | undefined,
  file: ModelFile,
  path: string,
  against: string | undefined,
  asked: DataSettings,
): Promise<Examples> {
  if (!input) return { data: randomExamples(file.path, inputPorts(file.info, file.path)), labelled: false }
  if (input.kind === 'tokens' && asked.text === undefined)
    return { data: randomTokens(input, file.info.classes ?? []), labelled: false }
  const preprocessing =
    input.kind === 'image' ? { preprocessing: preprocessingOf(file.info, input.shape, file.path) } : {}
  const known = { ...preprocessing, classes: file.info.classes, notice: note }
  const run = (await runAt(path)) ?? (against === undefined ? undefined : await runAt(against))
  const { test, notice } = await (run && asked.data === undefined
    ? dataOfRun(run, input, asked, known)
    : loadData(input, asked, known))
  if (notice) note(`NOTE  ${notice}`)
  if (!test) throw new UserError(`${path}: its data have no test set; name others with --data`)
  fits(file.path, input, test)
  return { data: test, labelled: true }
}

export const verifyVerb: Verb<Flags> = {
  builder,
  async handler({
    model,
    against,
    device,
    all,
    data,
    text,
    skipBad,
    images,
    seconds,
    timeout,
    externalData,
    ...rest
  }) {
    const { tolerance, maxDrop, minAgreement, report, out } = rest
    const file = await loadModelFile(model, { externalData })
    const input = exampleInput(file.info, file.path)
    const batch = input ? batchOf(input, BATCH) : BATCH
    const examples = await examplesFor(input, file, model, against, { data, text, skipBad })
    const usual = await deviceFor(undefined, { notice: note })
    const open = (name: string, of = file) => runtimeFor(of, name, { batch, timeout })
    const reference = await referenceFor(model, file, {
      ...{ against, device: usual, externalData, notice: (line: string) => note(`NOTE  ${line}`) },
      open: of => open(usual, of),
    })
    const asked = device ?? (all ? [] : [usual, 'wasm'])
    const some = { count: images, timeout, open: (name: string) => open(name) }
    const places = [
      ...placesOf(asked, some),
      ...(all ? placesOf(keysOf(PROOF_DEVICES), { ...some, optional: true }) : []),
    ].filter((place, i, before) => before.findIndex(p => p.device === place.device) === i)
    const proof = await proveHere(
      { bytes: file.info.bytes, name: file.path },
      reference,
      examples.data,
      places,
      { batch, seconds, labelled: examples.labelled, thresholds: { tolerance, maxDrop, minAgreement } },
    ).finally(() => reference.close())

    sayLines(proofText(proof))
    if (out !== undefined) await writeAtomic(out, `${JSON.stringify(proof, undefined, 2)}\n`)
    if (report !== undefined) await writeAtomic(report, await proofPage(proof, examples.data))
    for (const path of [out, report]) if (path !== undefined) say(`written   ${path}`)
    result(proof)
    const [first, ...more] = proof.failures
    if (first !== undefined)
      throw new UserError(`${file.path} fails: ${first}${more.length ? `; and ${more.length} more` : ''}`)
  },
}
