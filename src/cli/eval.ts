import type { Argv } from 'yargs'
import { preprocessingOf } from '../data/preprocess.ts'
import { UserError } from '../graph/errors.ts'
import { answersOf } from '../report/answers.ts'
import { loadData } from '../runs/data-node.ts'
import { isFolder } from '../runs/is-folder-node.ts'
import { loadModelOrCheckpoint, runtimeFor } from '../runs/model-file-node.ts'
import { dataOfRun, refuseOtherSet, runOf } from '../runs/own-data-node.ts'
import { deviceFor } from '../runs/plan-node.ts'
import { whole } from '../settings/setting.ts'
import { confusionText } from '../terminal/confusion-text.ts'
import { duration, note, percent, result, say, sayLines } from '../terminal/output.ts'
import { batchOf, fileInput, fits } from '../train/classifier.ts'
import { anyBatch } from '../train/fixed-batch.ts'
import { openPredictor } from '../train/predictor.ts'
import { numberOption } from './numbers.ts'
import {
  dataOption,
  deviceOption,
  externalDataOption,
  knownPreprocessOption,
  skipBadOption,
  textOption,
  threadsOption,
  timeoutOption,
  valSplitOption,
} from './options.ts'
import type { Verb } from './verb.ts'

const builder = (yargs: Argv) =>
  yargs
    .positional('model', { type: 'string', demandOption: true, describe: '.onnx file, or run folder' })
    .option('data', dataOption)
    .option('skip-bad', skipBadOption)
    .option('text', textOption)
    .option('split', {
      choices: ['test', 'val', 'train'] as const,
      default: 'test' as const,
      describe: 'Split to evaluate',
      group: 'Data:',
    })
    .option('val-split', {
      ...valSplitOption,
      describe: 'The --val-split that the model was trained with; it defines val and train',
    })
    .option('preprocess', knownPreprocessOption)
    .option(
      'batch',
      numberOption('batch', whole('Examples per run', { default: 250, most: 65_536, group: 'Device' })),
    )
    .option('device', deviceOption)
    .option('threads', threadsOption)
    .option('timeout', timeoutOption)
    .option('external-data', externalDataOption)
    .example('$0 eval runs/vit-lecture', "accuracy and confusion matrix on the run's own test set")

/** Of more classes, only pairs that occur are printed for programs. */
const MOST_IN_JSON = 1000

type Flags = ReturnType<typeof builder> extends Argv<infer T> ? T : never

export const evalVerb: Verb<Flags> = {
  builder,
  async handler(flags) {
    const { model, data, text, skipBad, split, valSplit, threads, timeout, externalData } = flags
    const file = await loadModelOrCheckpoint(model, { externalData }, note)
    const input = fileInput(file.info, file.path)
    const batch = batchOf(input, flags.batch)
    const device = await deviceFor(flags.device, { notice: note })
    const runtime = await runtimeFor(file, device, { batch, timeout })
    const preprocessing = flags.preprocess
      ? { kind: flags.preprocess }
      : preprocessingOf(file.info, input.shape, file.path)
    const known = { classes: file.info.classes, preprocessing, notice: note }
    const run = await runOf(model, await isFolder(model))
    const asked = { data, text, skipBad, valSplit }
    const source = await (run ? dataOfRun(run, input, asked, known) : loadData(input, asked, known))
    if (run && data === undefined && text === undefined) await refuseOtherSet(run, split, source)
    if (source.notice) note(`NOTE  ${source.notice}`)
    const images = source[split]
    if (!images)
      throw new UserError(`${source.origin}: no validation set; give the --val-split of the training`)
    fits(file.path, input, images)
    const classifier = anyBatch(await openPredictor(runtime, file.info.bytes, { name: file.path, threads }))
    const begin = performance.now()
    const { accuracy, loss, count, confusion } = await answersOf(classifier, images, undefined, batch)
    const seconds = (performance.now() - begin) / 1000
    await runtime.close()
    const classes = file.info.classes ?? images.classes ?? []
    say(`${file.path} on ${images.name} (${source.origin}), ${device}\n`)
    sayLines(confusionText(confusion, label => classes[label] ?? String(label)))
    say(
      `\naccuracy ${percent(accuracy)} of ${count.toLocaleString('en-US')}, loss ${loss.toFixed(4)}, ${duration(seconds)} (${Math.round(count / seconds).toLocaleString('en-US')} img/s)`,
    )
    const few = confusion.classes <= MOST_IN_JSON
    result({
      ...{ accuracy, loss, count, split },
      ...(few ? { confusion: confusion.rows() } : { confusion: null, pairs: confusion.pairs() }),
      ...{ seconds, device, file: file.path },
    })
  },
}
