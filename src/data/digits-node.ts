import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { UserError } from '../graph/errors.ts'
import type { ImageDataset } from './dataset.ts'
import { DIGITS_FILE, unpackDigits } from './digits.ts'

/** In dist/web, where pages have it too; from this file, compiled or not. */
export const DIGITS_PATH = fileURLToPath(
  new URL(`${import.meta.url.endsWith('.ts') ? '../../dist' : '../..'}/web/${DIGITS_FILE}`, import.meta.url),
)

/**
 * The 10,000 digits bundled with onnxgrad, class after class, all from MNIST's training set.
 * @throws UserError when their file is missing or damaged
 */
export async function packagedDigits(): Promise<ImageDataset> {
  const bytes = await readFile(DIGITS_PATH).catch(() => {
    throw new UserError(`${DIGITS_PATH} is missing; reinstall onnxgrad or, in a clone, run: npm run digits`)
  })
  return unpackDigits({ name: DIGITS_PATH, bytes })
}
