import type { NdArray } from '../graph/array.ts'
import { nth } from '../graph/present.ts'
import type { Rng } from '../graph/random.ts'
import { argmaxAt } from './scores.ts'

export interface SampleOptions {
  /** Tokens to add. */
  readonly length: number
  /** Tokens that the model sees at once. */
  readonly context: number
  /** Logits are divided by it; with 0 the most likely token is taken. */
  readonly temperature: number
  readonly random: Rng
}

/** Index drawn with probability softmax(logits / temperature); of temperature 0 that is the largest logit. */
function draw(logits: Float32Array, temperature: number, random: Rng): number {
  const best = argmaxAt(logits, 0, logits.length)
  if (temperature === 0) return best
  const top = nth(logits, best)
  const weights = Array.from(logits, z => Math.exp((z - top) / temperature))
  let left = random.uniform() * weights.reduce((a, b) => a + b, 0)
  for (const [i, w] of weights.entries()) {
    left -= w
    if (left < 0) return i
  }
  return weights.length - 1
}

/**
 * Continues a text: one token at a time, each drawn from the model's answer to the last `context` tokens.
 * @param scores of tokens, int32 `[1, context]`: `[1, context, vocabulary]`
 * @returns the new tokens alone
 */
export async function continueText(
  scores: (tokens: NdArray) => Promise<ArrayLike<number>>,
  start: Int32Array,
  { length, context, temperature, random }: SampleOptions,
): Promise<Int32Array> {
  const all = Array.from(start)
  const input = new Int32Array(context)
  for (let n = 0; n < length; n++) {
    const seen = all.slice(-context)
    // Attention is causal: tokens after the last one do not affect it.
    input.fill(0)
    input.set(seen)
    const values = await scores({ data: input, dims: [1, context] })
    const classes = values.length / context
    const at = (seen.length - 1) * classes
    const last = Float32Array.from({ length: classes }, (_, i) => nth(values, at + i))
    all.push(draw(last, temperature, random))
  }
  return Int32Array.from(all.slice(start.length))
}
