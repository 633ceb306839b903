import { expect, test } from 'vitest'
import { MODELS } from '../../models/index.ts'
import { compare, recorded } from '../../scripts/bench/compare.ts'
import { type Participant, startProgram } from '../../scripts/bench/peers/protocol.ts'
import { interleaved, ratio } from '../../scripts/bench/timing.ts'
import { noise } from '../../scripts/bench/workloads.ts'

const program = (text: string): Promise<Participant> => startProgram(process.execPath, ['-e', text])

/** A participant whose losses are given, and whose steps take `ms`. */
function fake(ms: number, losses: (step: number) => number): Participant {
  let step = 0
  return {
    version: '1',
    step: async () => ({ ms, loss: losses(step++), peakMB: 10 * ms }),
    close: async () => {},
  }
}
const falling = (step: number): number => 2 / (1 + step)

test('the benchmark lets everyone take turns in rotating order and drops the first rounds', async () => {
  const order: string[] = []
  const work = (name: string) => async () => {
    order.push(name)
    return order.length
  }
  const times = await interleaved([work('a'), work('b')], { warmUp: 1, rounds: 2 })
  expect(order.join('')).toBe('abbaab')
  expect(times).toEqual([
    [4, 5],
    [3, 6],
  ])
})

test("the benchmark's ratio is the median of neighbours in time", () => {
  expect(ratio([1, 20, 3], [2, 10, 6])).toBe(0.5)
})

test("the benchmark's noise has a label for each image, and for each token where tokens have them", () => {
  const images = noise(MODELS.lenet.build(MODELS.lenet.presets.mnist), 3, 1)
  expect([images.image!.data.length, images.label!.data.length]).toEqual([3 * 28 * 28, 3])
  const tokens = noise(MODELS.gpt.build(MODELS.gpt.presets.char), 3, 1)
  expect([tokens.tokens!.data.length, tokens.label!.data.length]).toEqual([3 * 64, 3 * 64])
  for (const { data } of [tokens.tokens!, tokens.label!]) {
    expect(data).toBeInstanceOf(Int32Array)
    const ids = data as Int32Array
    expect(new Set(ids).size).toBeGreaterThan(30)
    expect(Math.min(...ids)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...ids)).toBeLessThan(65)
  }
})

test('a peer is driven line by line, whatever else it prints', async () => {
  const peer = await program(`
    console.log('welcome'); console.log('{"version":"7"}')
    let loss = 3
    process.stdin.on('data', () => console.log('{"ms":2,"loss":' + loss-- + '}'))`)
  expect(peer.version).toBe('7')
  expect([await peer.step(), await peer.step()]).toEqual([
    { ms: 2, loss: 3 },
    { ms: 2, loss: 2 },
  ])
  await peer.close()
})

test('a peer that cannot start says why in its last words', async () => {
  await expect(program('console.error("no module\\nnamed torch"); process.exit(1)')).rejects.toThrow(
    /^named torch$/,
  )
  await expect(startProgram('/nowhere/python3', [])).rejects.toThrow('/nowhere/python3')
})

test('the benchmark compares times and memory of participants that train the same model', async () => {
  const found = await compare(recorded(fake(2, falling)), 'peer', fake(8, falling))
  expect(found).toMatchObject({ ratio: 0.25, oursMs: 2, stepMs: 8, oursPeakMB: 20, peakMB: 80 })
  expect(found.loss.first).toBe(2)
})

test('the benchmark refuses to compare with another model, and with one that does not learn', async () => {
  const ours = () => recorded(fake(2, falling))
  await expect(
    compare(
      ours(),
      'peer',
      fake(8, s => falling(s) + 0.001),
    ),
  ).rejects.toThrow('internal: peer starts with a loss of 2.001 where ours is 2')
  await expect(
    compare(
      ours(),
      'peer',
      fake(8, () => 2),
    ),
  ).rejects.toThrow('the loss of peer does not fall')
})
