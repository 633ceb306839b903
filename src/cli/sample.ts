import type { Argv } from 'yargs'
import { encodeText } from '../data/text.ts'
import { UserError } from '../graph/errors.ts'
import { nth } from '../graph/present.ts'
import { rng } from '../graph/random.ts'
import { loadModelOrCheckpoint, runtimeFor } from '../runs/model-file-node.ts'
import { deviceFor } from '../runs/plan-node.ts'
import { number, whole } from '../settings/setting.ts'
import { note, result, sayLines } from '../terminal/output.ts'
import { fileInput, openClassifier } from '../train/classifier.ts'
import { continueText } from '../train/sample.ts'
import { numberOption } from './numbers.ts'
import { deviceOption, externalDataOption, timeoutOption } from './options.ts'
import type { Verb } from './verb.ts'

const TEXT = { group: 'Text', common: true } as const

const builder = (yargs: Argv) =>
  yargs
    .positional('model', { type: 'string', demandOption: true, describe: '.onnx file, or run folder' })
    .option('prompt', {
      ...{ type: 'string', requiresArg: true, default: '\n', defaultDescription: 'a new line' },
      ...{ describe: 'Text to continue', group: 'Text:' },
    })
    .option(
      'length',
      numberOption('length', whole('Characters to generate', { default: 300, most: 1e6, ...TEXT })),
    )
    .option(
      'temperature',
      numberOption(
        'temperature',
        number('Below 1 favors likely characters, above 1 unlikely ones; 0 always takes the most likely', {
          ...{ least: 0, most: 100, default: 0.8 },
          ...TEXT,
        }),
      ),
    )
    .option(
      'seed',
      numberOption(
        'seed',
        whole('Same seed, same text', { least: Number.MIN_SAFE_INTEGER, default: 0, ...TEXT }),
      ),
    )
    .option('device', deviceOption)
    .option('timeout', timeoutOption)
    .option('external-data', externalDataOption)
    .example('$0 sample runs/gpt-char --prompt "ROMEO:"', '')

type Flags = ReturnType<typeof builder> extends Argv<infer T> ? T : never

export const sampleVerb: Verb<Flags> = {
  builder,
  async handler({ model, prompt, length, temperature, seed, device: asked, timeout, externalData }) {
    const file = await loadModelOrCheckpoint(model, { externalData }, note)
    const input = fileInput(file.info, file.path)
    const vocabulary = file.info.classes
    if (input.kind !== 'tokens' || !vocabulary)
      throw new UserError(`${file.path} does not write text: it reads ${input.kind}`)
    const start = encodeText(prompt, vocabulary)
    if (!start.length) throw new UserError('--prompt must hold at least one character')
    const device = await deviceFor(asked, { notice: note })
    const runtime = await runtimeFor(file, device, { batch: 1, timeout })
    const classifier = await openClassifier(runtime, file.info.bytes, input)
    const ids = await continueText(classifier.scores, start, {
      length,
      context: nth(input.shape, 0),
      temperature,
      random: rng(seed),
    })
    await runtime.close()
    const text = prompt + Array.from(ids, i => nth(vocabulary, i)).join('')
    sayLines(text)
    result({ text, seed, temperature, device })
  },
}
