import type { Argv, CommandModule } from 'yargs'
import { readDigit } from '../data/image-node.ts'
import { UserError } from '../graph/errors.ts'
import { shownName } from '../graph/printable.ts'
import { nodeRuntime } from '../runtime/node.ts'
import { argmaxAt, logSumExpAt } from '../train/evaluate.ts'
import { filePredictor, modelInput } from '../train/predictor.ts'
import { deviceFor } from './device.ts'
import { loadModelOrCheckpoint } from './load-node.ts'
import { deviceOption } from './options.ts'
import { percent, result, say } from './output.ts'
import { padStart, widthOf } from './text.ts'

const builder = (yargs: Argv) =>
  yargs
    .positional('model', { type: 'string', demandOption: true, describe: '.onnx file, or run folder' })
    .positional('image', { type: 'string', demandOption: true, describe: 'PNG, JPEG or WebP' })
    .option('top', { type: 'number', default: 3, describe: 'How many classes to show' })
    .option('device', deviceOption)
    .example('$0 predict runs/vit-lecture digit.png', '')

type Flags = ReturnType<typeof builder> extends Argv<infer T> ? T : never

const BAR = 30

const LONGEST_NAME = 40

export const predictVerb: CommandModule<object, Flags> = {
  command: 'predict <model> <image>',
  describe: 'Classify an image: grayscale, resized, inverted when its background is light',
  builder,
  async handler({ model, image: path, top, device: asked }) {
    const file = await loadModelOrCheckpoint(model)
    const { name, shape } = modelInput(file.info, file.path)
    if (name !== 'image')
      throw new UserError(`${file.path} reads ${name}, not images; see: onnxgrad sample --help`)
    const [channels, height, width] = shape as [number, number, number]
    const { image, inverted } = await readDigit(path, { channels, height, width })
    const device = await deviceFor(asked)
    const predictor = await filePredictor(await nodeRuntime(device), file.bytes, shape)
    const logits = await predictor.predict({ input: image, count: 1 })
    await predictor.close()
    const all = logSumExpAt(logits, 0, logits.length)
    const probabilities = Array.from(logits, z => Math.exp(z - all))
    const label = (i: number) => file.info.classes?.[i] ?? String(i)
    const shown = (i: number) => shownName(label(i), LONGEST_NAME)
    const best = argmaxAt(logits, 0, logits.length)
    const order = [...probabilities.keys()].sort((a, b) => probabilities[b]! - probabilities[a]!)
    say(`${path}: ${shown(best)}${inverted ? '  (inverted: its background is light)' : ''}\n`)
    const likeliest = order.slice(0, Math.max(1, top))
    const room = Math.max(8, ...likeliest.map(i => widthOf(shown(i))))
    for (const i of likeliest)
      say(
        `${padStart(shown(i), room)}  ${percent(probabilities[i]!).padStart(8)}  ${'█'.repeat(Math.round(BAR * probabilities[i]!))}`,
      )
    result({ class: best, label: label(best), probabilities, inverted, device })
  },
}
