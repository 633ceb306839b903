import { beforeAll, describe, expect, it } from 'vitest'
import { gpt } from '../../models/gpt.ts'
import { encodeText, textDataset, tokenize } from '../../src/data/text.ts'
import { placesOf } from '../../src/deploy/proof/places-node.ts'
import { prove } from '../../src/deploy/proof/prove.ts'
import { trainingPredictor } from '../../src/deploy/reference.ts'
import { exportOnnx } from '../../src/export/export.ts'
import type { NdArray } from '../../src/graph/array.ts'
import { rng } from '../../src/graph/random.ts'
import { parameterCount } from '../../src/nn/model.ts'
import { adam } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { languageModel } from '../../src/tasks/index.ts'
import { fit as learn } from '../../src/train/fit.ts'
import { openPredictor } from '../../src/train/predictor.ts'
import { continueText } from '../../src/train/sample.ts'
import { Trainer } from '../../src/train/trainer.ts'

const RHYME = 'one two three four five six seven eight nine ten '
const text = RHYME.repeat(40)
const tokens = tokenize(text)
const config = { vocabulary: tokens.vocabulary.length, context: 32, dim: 32, depth: 2, heads: 2, mlp: 64 }
const model = gpt(config)

let cpu: Runtime
beforeAll(async () => {
  cpu = await nodeRuntime('cpu')
})

describe('a text', () => {
  it('comes in windows whose labels are the characters that follow', () => {
    const data = textDataset('rhyme', tokens, 8)
    const all = [...data.batches({ batch: 7, seed: 1 })].flatMap(b => {
      const count = b.label.dims[0]!
      expect([b.tokens.dims, b.label.dims]).toEqual([
        [count, 8],
        [count, 8],
      ])
      const [seen, next] = [b.tokens.data as Int32Array, b.label.data as Int32Array]
      expect([seen.length, next.length]).toEqual([count * 8, count * 8])
      return Array.from({ length: count }, (_, i) => [
        Array.from(seen.subarray(i * 8, i * 8 + 8), id => tokens.vocabulary[id]).join(''),
        Array.from(next.subarray(i * 8, i * 8 + 8), id => tokens.vocabulary[id]).join(''),
      ])
    })
    expect(all).toHaveLength(data.size)
    for (const [seen, next] of all) {
      expect(next!.slice(0, -1)).toBe(seen!.slice(1))
      expect(text).toContain(seen! + next!.at(-1))
    }
  })

  it('has another order in each epoch, and the same for the same seed', () => {
    const data = textDataset('rhyme', tokens, 8)
    const first = (seed: number, epoch: number) =>
      [...data.batches({ batch: 64, seed, epoch })][0]!.tokens.data.join()
    expect(first(1, 0)).toBe(first(1, 0))
    expect(first(1, 0)).not.toBe(first(1, 1))
    expect(first(1, 0)).not.toBe(first(2, 0))
  })

  it('refuses what a vocabulary does not have, and a text that is too short', () => {
    expect(() => encodeText('one?', tokens.vocabulary)).toThrow(
      'the character "?" is not in the model\'s vocabulary',
    )
    expect(() => textDataset('short', tokenize('abc'), 8)).toThrow(
      'short has 3 characters; a context of 8 needs 9',
    )
  })
})

describe('a character GPT', () => {
  it('has the parameters of its formula', () => {
    const { vocabulary, context, dim, depth, mlp } = config
    const block = 4 * dim * dim + 4 * dim + 2 * dim * mlp + dim + mlp + 4 * dim
    expect(parameterCount(model)).toBe(vocabulary * dim + context * dim + depth * block + 2 * dim)
  })

  it('does not see what comes later', async () => {
    const run = new Trainer(cpu, model, { task: languageModel(), seed: 3 })
    const random = rng(1)
    const input = Int32Array.from({ length: 32 }, () => random.int(config.vocabulary))
    const answer = async () => (await run.predict({ tokens: input })).logits!.data as Float32Array
    const before = (await answer()).slice()
    input[20] = (input[20]! + 1) % config.vocabulary
    const after = await answer()
    await run.close()
    const changed = Array.from({ length: 32 }, (_, t) =>
      before
        .subarray(t * config.vocabulary, (t + 1) * config.vocabulary)
        .some((z, i) => z !== after[t * config.vocabulary + i]),
    )
    expect(changed.indexOf(true)).toBe(20)
    expect(changed.lastIndexOf(true)).toBe(31)
  })

  it('learns a rhyme, ships it as .onnx, and recites it from there', async () => {
    const data = {
      train: textDataset('rhyme', tokens, 32),
      test: textDataset('rhyme', tokens, 32),
      origin: 'a rhyme',
    }
    const optimizer = adam({ lr: 5e-3 })
    const run = await learn(cpu, model, { task: languageModel(), data, epochs: 14, batch: 8, optimizer })
    expect(run.test!.accuracy).toBeGreaterThan(0.85)
    expect(run.test!.perplexity).toBeCloseTo(Math.exp(run.test!.loss), 4)
    const bytes = exportOnnx(run.model)
    const runner = trainingPredictor(cpu, run.model)
    const places = placesOf(['cpu', 'wasm'])
    const proof = await prove({ bytes, name: 'gpt.onnx' }, { name: 'training', runner }, data.test, places, {
      seconds: 0,
    })
    expect(proof.runtimes.map(r => r.ok)).toEqual([true, true])
    const predictor = await openPredictor(cpu, bytes)
    expect(predictor.classes).toEqual(tokens.vocabulary)
    const scores = async (tokens: NdArray) => (await predictor.run({ tokens })).logits!.data as Float32Array
    const start = encodeText('one two three four five six ', tokens.vocabulary)
    const ids = await continueText(scores, start, {
      length: 20,
      context: 32,
      temperature: 0.1,
      random: rng(0),
    })
    await predictor.close()
    expect(Array.from(ids, i => tokens.vocabulary[i]).join('')).toBe('seven eight nine ten')
  })
})
