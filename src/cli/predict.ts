import type { Argv } from 'yargs'
import { hideBin } from 'yargs/helpers'
import { picturesOf } from '../data/pictures-node.ts'
import { imageShape, preprocessingInWords, preprocessingOf, preprocessingOfKind } from '../data/preprocess.ts'
import { type Classified, classifyPictures } from '../deploy/classify-node.ts'
import { UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import { shownName } from '../graph/printable.ts'
import { loadModelOrCheckpoint, runtimeFor } from '../runs/model-file-node.ts'
import { deviceFor } from '../runs/plan-node.ts'
import { whole } from '../settings/setting.ts'
import { note, percent, result, say } from '../terminal/output.ts'
import { padEnd, padStart, widthOf } from '../terminal/text.ts'
import { batchOf, fileInput, openClassifier } from '../train/classifier.ts'
import { anyBatch } from '../train/fixed-batch.ts'
import { numberOption } from './numbers.ts'
import { deviceOption, externalDataOption, knownPreprocessOption, timeoutOption } from './options.ts'
import type { Verb } from './verb.ts'

const builder = (yargs: Argv) =>
  yargs
    .positional('model', { type: 'string', demandOption: true, describe: '.onnx file, or run folder' })
    .positional('images', {
      type: 'string',
      array: true,
      default: [],
      defaultDescription: 'none',
      describe:
        "Pictures (PNG, JPEG, WebP …): files, folders (all pictures in them), patterns such as 'photos/*.jpg', or - for a picture on stdin",
    })
    .option('files-from', {
      type: 'string',
      requiresArg: true,
      describe: 'File with one picture, folder or pattern a line; - for stdin',
    })
    .option('preprocess', knownPreprocessOption)
    .option(
      'top',
      numberOption(
        'top',
        whole('Classes to show, of a single picture', {
          default: 3,
          most: 10_000,
          group: 'Output',
          common: true,
        }),
      ),
    )
    .option(
      'batch',
      numberOption('batch', whole('Pictures per run', { default: 64, most: 65_536, group: 'Device' })),
    )
    .option('device', deviceOption)
    .option('timeout', timeoutOption)
    .option('external-data', externalDataOption)
    .example('$0 predict runs/vit-lecture digit.png', 'one picture, with its most probable classes')
    .example('$0 predict runs/flowers photos --json', 'a folder: one JSON object a line for each picture')
    .example('cat digit.png | $0 predict vit.onnx -', 'a picture on stdin')

type Flags = ReturnType<typeof builder> extends Argv<infer T> ? T : never

const BAR = 30

const LONGEST_NAME = 40

/** The most probable classes of one picture, as bars. */
function bars({ probabilities }: Classified, top: number, name: (label: number) => string): void {
  const order = [...probabilities.keys()].sort((a, b) => nth(probabilities, b) - nth(probabilities, a))
  const likeliest = order.slice(0, top)
  const room = Math.max(8, ...likeliest.map(label => widthOf(name(label))))
  for (const label of likeliest) {
    const probability = nth(probabilities, label)
    say(
      `${padStart(name(label), room)}  ${percent(probability).padStart(8)}  ${'█'.repeat(Math.round(BAR * probability))}`,
    )
  }
}

/** Whether a picture on stdin is among the names: yargs drops a hyphen that stands alone. */
const asksForStdin = (args: readonly string[]): boolean =>
  args.some((arg, i) => arg === '-' && args[i - 1] !== '--files-from')

export const predictVerb: Verb<Flags> = {
  builder,
  async handler({ model, images, filesFrom, preprocess: kind, top, device: asked, timeout, ...flags }) {
    const names = asksForStdin(hideBin(process.argv)) ? [...images, '-'] : images
    if (!names.length && filesFrom === undefined)
      throw new UserError('say which pictures: files, folders, patterns, or - for a picture on stdin')
    const file = await loadModelOrCheckpoint(model, flags, note)
    const input = fileInput(file.info, file.path)
    if (input.kind !== 'image')
      throw new UserError(`${file.path} reads ${input.kind}, not images; see: onnxgrad sample --help`)
    const shape = imageShape(input.shape, file.path)
    const preprocessing = kind
      ? preprocessingOfKind(kind)
      : preprocessingOf(file.info, input.shape, file.path)
    const batch = batchOf(input, flags.batch)
    const device = await deviceFor(asked, { notice: note })
    const runtime = await runtimeFor(file, device, { batch, timeout })
    const classifier = await openClassifier(runtime, file.info.bytes, input, { adapt: anyBatch })

    const nameOf = (label: number) => file.info.classes?.[label] ?? String(label)
    const shown = (label: number) => shownName(nameOf(label), LONGEST_NAME)
    const room = Math.max(5, ...(file.info.classes ?? []).map((_, label) => widthOf(shown(label))))
    const prepared = preprocessingInWords(preprocessing, shape)
    /** Printed at once: their paths come last, for how long the longest will be is not known. */
    const row = ({ label, probabilities, file }: Classified) =>
      say(`${padEnd(shown(label), room)}  ${percent(nth(probabilities, label)).padStart(11)}  ${file}`)

    let first: Classified | undefined
    let [done, failed] = [0, 0]
    const pictures = picturesOf(names, filesFrom)
    for await (const answer of classifyPictures(classifier, pictures, { shape, preprocessing, batch })) {
      if ('error' in answer) {
        failed++
        note(`onnxgrad: ${answer.error}`)
        result(answer)
        continue
      }
      done++
      const { file: path, label, probabilities, inverted } = answer
      if (done === 1) first = answer
      else {
        if (first) {
          say(`prepared as ${prepared}\n`)
          say(`${padEnd('class', room)}  probability  picture`)
          row(first)
          first = undefined
        }
        row(answer)
      }
      const probability = nth(probabilities, label)
      result({
        ...{ file: path, class: label, label: nameOf(label), probability, probabilities },
        ...{ preprocessing, inverted, device },
      })
    }
    await runtime.close()
    if (first) {
      say(`${first.file}: ${shown(first.label)}`)
      say(`prepared as ${prepared}${first.inverted ? ', inverted' : ''}\n`)
      bars(first, top, shown)
    }
    if (!failed) return
    if (failed + done > 1) note(`onnxgrad: ${failed} of ${failed + done} pictures could not be read`)
    process.exitCode = 1
  },
}
