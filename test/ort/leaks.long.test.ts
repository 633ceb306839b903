import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const from = (path: string): string => JSON.stringify(new URL(`../../${path}`, import.meta.url))

/** Prints the megabytes of the heap and of the process after each 40 trainings that are aborted. */
const PROGRAM = `
  const { mlp } = await import(${from('models/index.ts')})
  const { train } = await import(${from('src/node.ts')})
  const size = 256
  const images = new Uint8Array(size * 64).map((_, i) => (i * 37) % 251)
  const labels = new Uint8Array(size).map((_, i) => i % 4)
  const set = { name: 'noise', size, shape: [1, 8, 8], classes: [...'abcd'], images, labels }
  for (let i = 1; i <= 120; i++) {
    const stop = new AbortController()
    await train(mlp({ image: 8, channels: 1, hidden: [16], classes: 4 }), {
      ...{ data: { train: set, test: set, origin: 'noise' }, epochs: 50, batch: 16, threads: 1 },
      ...{ signal: stop.signal, onStep: p => p.step === 3 && stop.abort() },
    })
    if (i % 40) continue
    gc()
    const { heapUsed, rss } = process.memoryUsage()
    console.log(JSON.stringify([heapUsed / 1e6, rss / 1e6]))
  }`

it('trainings that are aborted, one after the other, take no more memory than some of them', {
  timeout: 3_600_000,
}, async () => {
  const args = [
    '--expose-gc',
    '--import',
    import.meta.resolve('tsx'),
    '--input-type=module',
    '--eval',
    PROGRAM,
  ]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  const measured = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as [heap: number, rss: number])
  expect(measured).toHaveLength(3)
  // The first 40 are there for V8 and the allocator to take what they keep for later.
  const [before, after] = [measured[0]!, measured[2]!]
  expect(after[0] - before[0]).toBeLessThan(2)
  expect(after[1] - before[1]).toBeLessThan(40)
})
