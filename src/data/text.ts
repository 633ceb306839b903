import type { NdArray } from '../graph/array.ts'
import { UserError } from '../graph/errors.ts'
import { lookup, present } from '../graph/present.ts'
import { hash, rng } from '../graph/random.ts'
import { permutation } from './batches.ts'
import type { BatchedDataset, BatchOptions } from './dataset.ts'

/** A text as numbers, and the characters that they stand for. */
export interface Tokens {
  readonly ids: Int32Array
  /** The character of id i; sorted by code point. */
  readonly vocabulary: readonly string[]
}

const codePoint = (character: string): number => present(character.codePointAt(0), 'character')

/** Every character of a text as the index of its kind. @throws UserError for a text without any */
export function tokenize(text: string): Tokens {
  const characters = [...text]
  if (!characters.length) throw new UserError('the text is empty')
  const vocabulary = [...new Set(characters)].sort((a, b) => codePoint(a) - codePoint(b))
  const index = new Map(vocabulary.map((c, i) => [c, i]))
  return { ids: Int32Array.from(characters, c => lookup(index, c)), vocabulary }
}

/** Ids of a text's characters in a known vocabulary. @throws UserError naming the first character that is not in it */
export function encodeText(text: string, vocabulary: readonly string[]): Int32Array {
  const index = new Map(vocabulary.map((c, i) => [c, i]))
  return Int32Array.from([...text], c => {
    const id = index.get(c)
    if (id === undefined)
      throw new UserError(`the character ${JSON.stringify(c)} is not in the model's vocabulary`)
    return id
  })
}

/** Rows of a text: `tokens`, and as `label` the token that follows each, both int32 `[B, context]`. */
export type TextBatch = Readonly<Record<'tokens' | 'label', NdArray>>

/** A text in rows of the same length; the classes are its vocabulary. */
export interface TextDataset extends BatchedDataset {
  readonly size: number
  readonly classes: readonly string[]
  batches(options: BatchOptions): Iterable<TextBatch>
}

/**
 * Windows of `context` tokens, each labelled with the tokens that follow. An epoch walks through the text once: the windows
 * follow each other from an offset that differs by epoch, in shuffled order.
 * @throws UserError when the text is too short for one window
 */
export function textDataset(name: string, { ids, vocabulary }: Tokens, context: number): TextDataset {
  const size = Math.floor((ids.length - 1) / context)
  if (size < 1)
    throw new UserError(`${name} has ${ids.length} characters; a context of ${context} needs ${context + 1}`)
  return {
    name,
    size,
    features: { tokens: { dtype: 'int32', shape: [context] }, label: { dtype: 'int32', shape: [context] } },
    classes: vocabulary,
    content: vocabulary.length > 256 ? Uint16Array.from(ids) : Uint8Array.from(ids),
    batches({ batch, seed = 0, epoch = 0, shuffle = true, skip = 0 }) {
      return {
        *[Symbol.iterator]() {
          const slack = ids.length - 1 - size * context
          const offset = shuffle ? rng(hash(seed, 'text', epoch)).int(slack + 1) : 0
          const order = shuffle ? permutation(size, seed, epoch) : undefined
          const most = Math.min(batch, size)
          const tokens = new Int32Array(most * context)
          const label = new Int32Array(most * context)
          for (let start = skip * batch; start < size; start += batch) {
            const count = Math.min(batch, size - start)
            for (let i = 0; i < count; i++) {
              const from = offset + (order ? Number(order[start + i]) : start + i) * context
              tokens.set(ids.subarray(from, from + context), i * context)
              label.set(ids.subarray(from + 1, from + 1 + context), i * context)
            }
            const rows = (all: Int32Array): NdArray => ({
              data: all.subarray(0, count * context),
              dims: [count, context],
            })
            yield { tokens: rows(tokens), label: rows(label) }
          }
        },
      }
    },
  }
}
