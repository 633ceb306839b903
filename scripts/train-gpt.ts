// A GPT that writes text character by character: trained on a text file, then sampled greedily and at random.
// Result: 2.81 bits per character (1.95 nats) on the held-out end of the GPL (35,149 characters), after 16 of 20 epochs; the
// model has 349,152 parameters. Debian and Ubuntu have the text as /usr/share/common-licenses/GPL-3.
//
//   npx tsx scripts/train-gpt.ts [TEXT] [--epochs 20] [--limit 1000000] [--temperature 0.8] [--length 200]
//
// TEXT is any UTF-8 file, by default this project's README; --limit takes its first characters. Its last tenth is held out
// for validation. --length is that of a sample; --out DIR is where gpt.onnx goes [runs/train-gpt]. Ctrl-C stops after the
// current step and keeps the best epoch so far.

import { mkdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gpt } from 'onnxgrad/models'
import { type ArrayDataset, adamW, cosine, languageModel, predictor, rng, save, train } from 'onnxgrad/node'

const option = (value: string) => ({ type: 'string', default: value }) as const
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    epochs: option('20'),
    limit: option('1000000'),
    temperature: option('0.8'),
    length: option('200'),
    out: option('runs/train-gpt'),
  },
})
const path = positionals[0] ?? fileURLToPath(new URL('../README.md', import.meta.url))
const text = [...(await readFile(path, 'utf8'))].slice(0, Number(values.limit))

// Each character is a token. The label of a position is the character that follows.
const CONTEXT = 64
const vocabulary = [...new Set(text)].sort()
const idOf = new Map(vocabulary.map((character, id) => [character, id]))
const ids = Int32Array.from(text, character => idOf.get(character) ?? 0)

/** Windows of `CONTEXT` characters that start `stride` characters apart. */
function windows(name: string, part: Int32Array, stride: number): ArrayDataset {
  const size = Math.floor((part.length - 1 - CONTEXT) / stride) + 1
  if (size < 1) throw new Error(`${name}: ${part.length} characters are fewer than ${CONTEXT + 1}`)
  const rows = (shift: number) => {
    const data = new Int32Array(size * CONTEXT)
    for (let row = 0; row < size; row++)
      data.set(part.subarray(row * stride + shift, row * stride + shift + CONTEXT), row * CONTEXT)
    return { data, dims: [size, CONTEXT] }
  }
  return { name, size, classes: vocabulary, arrays: { tokens: rows(0), label: rows(1) } }
}
const cut = Math.floor(0.9 * ids.length)
const learned = windows('text', ids.subarray(0, cut), CONTEXT / 4)
const heldOut = windows('held-out text', ids.subarray(cut), CONTEXT)
console.log(`${path}: ${ids.length} characters, ${vocabulary.length} different ones`)

const stop = new AbortController()
process.once('SIGINT', () => stop.abort())
const bits = (nats = Number.NaN) =>
  `${nats.toFixed(4)} nats, ${(nats / Math.LN2).toFixed(4)} bits per character`
const run = await train(
  gpt({
    vocabulary: vocabulary.length,
    context: CONTEXT,
    dim: 96,
    depth: 3,
    heads: 4,
    mlp: 384,
    dropout: 0.1,
  }),
  {
    task: languageModel(),
    data: { train: learned, val: heldOut },
    epochs: Number(values.epochs),
    batch: 32,
    optimizer: adamW({ lr: 3e-3, weightDecay: 0.1 }),
    schedule: cosine(),
    clipNorm: 1,
    monitor: 'loss',
    signal: stop.signal,
    onStep: p => {
      if (p.step % 100 === 0) console.log(`step ${p.step} of ${p.steps}: ${bits(p.mean.loss)}`)
    },
    onEpoch: e => console.log(`epoch ${e.epoch}: validation ${bits(e.val?.loss)}`),
  },
)
await mkdir(values.out, { recursive: true })
await save(run.model, `${values.out}/gpt.onnx`)

/** Continues a text: at temperature 0 with the most probable character, else with a random one. */
async function sample(prompt: Int32Array, temperature: number): Promise<string> {
  await using writer = await predictor(run.model)
  const random = rng(0)
  const all = [...prompt]
  while (all.length < prompt.length + Number(values.length)) {
    const seen = all.slice(-CONTEXT)
    const tokens = Int32Array.from({ length: CONTEXT }, (_, i) => seen[i] ?? 0) // later positions are not seen
    const { logits } = await writer.run({ tokens: { data: tokens, dims: [1, CONTEXT] } })
    const last = (seen.length - 1) * vocabulary.length
    const scores = Array.from(logits.data.slice(last, last + vocabulary.length), Number)
    // The largest of the scores plus Gumbel noise is a draw from their softmax.
    const noisy = scores.map(
      score => score - (temperature && temperature * Math.log(-Math.log(random.uniform()))),
    )
    all.push(noisy.indexOf(Math.max(...noisy)))
  }
  return all.map(id => vocabulary[id]).join('')
}
const prompt = ids.subarray(cut, cut + 16)
console.log(`\ngreedy:\n${await sample(prompt, 0)}`)
console.log(`\ntemperature ${values.temperature}:\n${await sample(prompt, Number(values.temperature))}\n`)
console.log(`${values.out}/gpt.onnx: validation ${bits(run.val?.loss)}, epoch ${run.best?.epoch}`)
