import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import { UserError } from '../../src/graph/errors.ts'
import { hash, type Rng, rng } from '../../src/graph/random.ts'

const folder = fileURLToPath(new URL('corpus', import.meta.url))

/** Small files of a kind by name, good ones and bad ones; make-corpus.ts made them. */
export const corpus = (kind: string): ReadonlyMap<string, Uint8Array> =>
  new Map(
    readdirSync(`${folder}/${kind}`)
      .sort()
      .map(name => [name, readFileSync(`${folder}/${kind}/${name}`)]),
  )

/** More rounds than a check takes, and other ones: `FUZZ_ROUNDS=100 FUZZ_SEED=7 npx vitest run test/fuzz`. */
const { FUZZ_ROUNDS = '1', FUZZ_SEED = '0' } = process.env
export const ROUNDS = Number(FUZZ_ROUNDS)

/** What one small file may take: seconds of a processor, and bytes. */
const MOST_SECONDS = 1
const MOST_BYTES = 2 ** 28
const LONGEST_MESSAGE = 1000

/** A text that is shown: no control characters, not endless. */
export function expectPlain(text: string): void {
  expect(text).toMatch(/^[^\p{Cc}]*$/u)
  expect(text.length).toBeLessThanOrEqual(LONGEST_MESSAGE)
}

/** `read`, or the message of the UserError that refuses the file; fails for any other error. */
export async function outcome(parse: () => unknown): Promise<string> {
  const before = process.cpuUsage()
  const memory = process.resourceUsage().maxRSS
  let said = 'read'
  try {
    await parse()
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    expectPlain(error.message)
    said = error.message
  }
  // A file's names and keys are data.
  expect(Object.keys(Object.prototype)).toEqual([])
  const { user, system } = process.cpuUsage(before)
  expect((user + system) / 1e6).toBeLessThan(MOST_SECONDS)
  expect((process.resourceUsage().maxRSS - memory) * 1024).toBeLessThan(MOST_BYTES)
  return said
}

/**
 * Gives a parser `rounds` files: each is read or refused in one line, in bounded time and memory. The same files each time.
 * @returns how many were read, so that a test can tell that not all are refused at the door
 */
export async function fuzz(
  name: string,
  rounds: number,
  make: (random: Rng) => Uint8Array,
  parse: (bytes: Uint8Array) => unknown,
): Promise<number> {
  let read = 0
  for (let i = 0; i < rounds * ROUNDS; i++) {
    const bytes = make(rng(hash(name, FUZZ_SEED, i)))
    try {
      if ((await outcome(() => parse(bytes))) === 'read') read++
    } catch (error) {
      const file = Buffer.from(bytes).toString('base64')
      throw new Error(`${name}, round ${i}, seed ${FUZZ_SEED}: ${file.slice(0, 4000)}`, { cause: error })
    }
  }
  return read
}
