import type { Argv } from 'yargs'
import { readPixels } from '../data/image-node.ts'
import {
  imageShape,
  preprocessInked,
  preprocessingInWords,
  preprocessingOf,
  preprocessingOfKind,
} from '../data/preprocess.ts'
import { UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import { shownName } from '../graph/printable.ts'
import { fileInput, openClassifier } from '../train/classifier.ts'
import { argmaxAt, logSumExpAt } from '../train/scores.ts'
import { deviceFor } from './device.ts'
import { loadModelOrCheckpoint, runtimeFor } from './load-node.ts'
import { deviceOption, externalDataOption, knownPreprocessOption, timeoutOption } from './options.ts'
import { percent, result, say } from './output.ts'
import { padStart, widthOf } from './text.ts'
import type { Verb } from './verb.ts'

const builder = (yargs: Argv) =>
  yargs
    .positional('model', { type: 'string', demandOption: true, describe: '.onnx file, or run folder' })
    .positional('image', { type: 'string', demandOption: true, describe: 'PNG, JPEG or WebP' })
    .option('preprocess', knownPreprocessOption)
    .option('top', { type: 'number', default: 3, describe: 'How many classes to show' })
    .option('device', deviceOption)
    .option('timeout', timeoutOption)
    .option('external-data', externalDataOption)
    .example('$0 predict runs/vit-lecture digit.png', '')

type Flags = ReturnType<typeof builder> extends Argv<infer T> ? T : never

const BAR = 30

const LONGEST_NAME = 40

export const predictVerb: Verb<Flags> = {
  builder,
  async handler({ model, image: path, preprocess: kind, top, device: asked, timeout, externalData }) {
    const file = await loadModelOrCheckpoint(model, { externalData })
    const input = fileInput(file.info, file.path)
    if (input.kind !== 'image')
      throw new UserError(`${file.path} reads ${input.kind}, not images; see: onnxgrad sample --help`)
    const shape = imageShape(input.shape, path)
    const preprocessing = kind
      ? preprocessingOfKind(kind)
      : preprocessingOf(file.info, input.shape, file.path)
    const { image, inverted } = preprocessInked(path, await readPixels(path), preprocessing, shape)
    const device = await deviceFor(asked)
    const runtime = await runtimeFor(file, device, { batch: 1, timeout })
    const classifier = await openClassifier(runtime, file.info.bytes, input)
    const logits = await classifier.scores({
      data: Float32Array.from(image, v => v / 255),
      dims: [1, ...shape],
    })
    await runtime.close()
    const all = logSumExpAt(logits, 0, logits.length)
    const probabilities = Array.from(logits, z => Math.exp(z - all))
    const label = (i: number) => file.info.classes?.[i] ?? String(i)
    const shown = (i: number) => shownName(label(i), LONGEST_NAME)
    const best = argmaxAt(logits, 0, logits.length)
    const order = [...probabilities.keys()].sort((a, b) => nth(probabilities, b) - nth(probabilities, a))
    say(`${path}: ${shown(best)}`)
    say(`prepared as ${preprocessingInWords(preprocessing, shape)}${inverted ? ', inverted' : ''}\n`)
    const likeliest = order.slice(0, Math.max(1, top))
    const room = Math.max(8, ...likeliest.map(i => widthOf(shown(i))))
    for (const i of likeliest)
      say(
        `${padStart(shown(i), room)}  ${percent(nth(probabilities, i)).padStart(8)}  ${'█'.repeat(Math.round(BAR * nth(probabilities, i)))}`,
      )
    result({ class: best, label: label(best), probabilities, preprocessing, inverted, device })
  },
}
