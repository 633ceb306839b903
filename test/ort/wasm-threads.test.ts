import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const program = fileURLToPath(new URL('wasm-product.ts', import.meta.url))
const loader = new URL('../../node_modules/tsx/dist/esm/index.mjs', import.meta.url).href

test('WASM with several threads gives the values of one, and lets the process end', async () => {
  const product = async (threads: number): Promise<number[]> => {
    const args = ['--import', loader, program, String(threads)]
    return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout)
  }
  const [one, two] = [await product(1), await product(2)]
  expect(one).toHaveLength(8)
  two.forEach((value, i) => {
    expect(value).toBeCloseTo(one[i]!, 4)
  })
})
