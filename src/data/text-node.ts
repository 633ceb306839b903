import { basename } from 'node:path'
import { UserError } from '../graph/errors.ts'
import type { DataSource } from './dataset.ts'
import { readNamed } from './files-node.ts'
import { validationCount } from './held-out.ts'
import { encodeText, type TextDataset, textDataset, tokenize } from './text.ts'

/** A text in rows to train on, to validate on where that was asked for, and to be tested on. */
export interface TextSource extends DataSource {
  readonly train: TextDataset
  readonly val?: TextDataset
  readonly test: TextDataset
}

/** Share of a text that is kept from training. */
const HELD_OUT = 0.1

/**
 * A text file as a character-level data source: its first nine tenths to train on, the rest to be tested on.
 * @param vocabulary a model's existing characters; if omitted, those of the file
 * @param valSplit what is cut off the end of the training text to validate on: a share of its rows of `context` characters,
 *   or how many rows
 * @throws UserError when the file cannot be read, is not UTF-8, or is too short
 */
export async function loadText(
  path: string,
  context: number,
  vocabulary?: readonly string[],
  valSplit?: number,
): Promise<TextSource> {
  const bytes = readNamed(path)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new UserError(`${path} is not UTF-8 text`)
  }
  if (!text) throw new UserError(`${path} is empty`)
  const tokens = vocabulary ? { ids: encodeText(text, vocabulary), vocabulary } : tokenize(text)
  const cut = Math.floor(tokens.ids.length * (1 - HELD_OUT))
  const called = (name: string) => `${basename(path)} (${name})`
  // Errors name the file; the data are the same whatever it is called.
  const part = (name: string, from: number, to?: number): TextDataset => ({
    ...textDataset(called(name), { ...tokens, ids: tokens.ids.subarray(from, to) }, context),
    name: `text (${name})`,
  })
  const whole = part('train', 0, cut)
  const rows = valSplit === undefined ? 0 : validationCount(called('train'), whole.size, valSplit)
  // The two share a character: the last label of the one is the first input of the other.
  const end = cut - rows * context - 1
  return {
    ...(rows ? { train: part('train', 0, end + 1), val: part('validation', end, cut) } : { train: whole }),
    test: part('held out', cut),
    origin: `${tokens.ids.length.toLocaleString('en-US')} characters (${tokens.vocabulary.length} distinct) from ${path}`,
  }
}
