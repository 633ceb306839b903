import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseHTML } from 'linkedom'
import { describe, expect, test } from 'vitest'
import { chromiumPlaces, findChromium } from '../../src/deploy/proof/chromium-find-node.ts'
import { packed, tensorAt, unpacked } from '../../src/deploy/proof/message.ts'
import type { Agreement } from '../../src/deploy/proof/proof.ts'
import { proveFile } from '../../src/deploy/proof/prove-node.ts'
import { latencyOf, takeTurns, timingOf } from '../../src/deploy/proof/timed.ts'
import { failuresOf, speedLines, thresholdsFor } from '../../src/deploy/proof/verdict.ts'
import { proofPage } from '../../src/report/proof-node.ts'
import { examples, fileOf } from './proof-files.ts'

const data = examples()
const reference = fileOf()
const quick = { reference, data, seconds: 0 } as const

const answers = (drop: number, count: number, agreement = 1): Agreement => ({
  ...{ count, agreement, disagreed: Math.round((1 - agreement) * count), disagreements: [] },
  accuracy: { reference: 0.9, file: 0.9 - drop / 100, drop },
})

describe('the verdict', () => {
  const lossy = thresholdsFor({ lossy: true })
  const measured = { maxAbsDiff: 1, outputs: {} }

  test('on a float32 file is that of the tolerance', () => {
    const limits = thresholdsFor({ lossy: false })
    expect(failuresOf({ ...measured, maxAbsDiff: 1e-5 }, false, limits)).toEqual([])
    expect(failuresOf({ ...measured, answers: answers(0, 1000) }, false, limits)).toEqual([
      'outputs differ by up to 1; 0.0001 is allowed',
    ])
    expect(failuresOf({ ...measured, maxAbsDiff: Number.NaN }, false, limits)).toHaveLength(1)
  })

  test('on a rounded file is that of accuracy and agreement', () => {
    expect(failuresOf({ ...measured, answers: answers(0.4, 10_000) }, true, lossy)).toEqual([])
    expect(failuresOf({ ...measured, answers: answers(1.2, 10_000, 0.9) }, true, lossy)).toEqual([
      'accuracy drops by 1.20 points, from 90.00 % to 88.80 % of 10,000; 0.50 points are allowed',
      '90.00 % of 10,000 predictions agree with the reference (1,000 differ); 95.00 % must',
    ])
  })

  test('does not fail for one example of few', () => {
    expect(failuresOf({ ...measured, answers: answers(1, 100) }, true, lossy)).toEqual([])
    expect(failuresOf({ ...measured, answers: answers(2, 100) }, true, lossy)).toHaveLength(1)
  })

  test('on outputs that are no classes is that of their spread', () => {
    const outputs = { y: { max: 1, mean: 0.5, error: 0.3 } }
    expect(failuresOf({ maxAbsDiff: 1, outputs }, true, lossy)).toEqual([
      'output y is off by 30.00 % of its spread; 10.00 % is allowed',
    ])
  })

  test('says in words what is faster', () => {
    const at = (speedup: number) => ({
      ...{ batch: 64, file: { p50: 1, p99: 1 }, throughput: { file: 1, reference: 1 }, speedup },
    })
    const on = (runtime: string, speedup: number) =>
      ({ runtime, throughput: at(speedup) }) as unknown as Parameters<typeof speedLines>[2][number]
    expect(speedLines('int8', 'float32', [on('cpu', 1.9), on('wasm', 0.8), on('cuda', 1.01)])).toEqual([
      'int8 on cpu: 1.9× the speed of float32 at batch 64 (faster)',
      'int8 on wasm: 0.80× the speed of float32 at batch 64 (slower)',
      'int8 on cuda: as fast as float32 at batch 64',
    ])
  })
})

test('times are taken by turns, and compared by pairs', async () => {
  const turns: string[] = []
  const timer = (name: string, ms: number) => async (runs: number) => {
    turns.push(name)
    return Array.from({ length: runs }, () => ms)
  }
  const [theirs = [], ours = []] = await takeTurns([timer('r', 40), timer('f', 10)], {
    seconds: 0.1,
    least: 4,
    most: 9,
  })
  expect(turns.join('')).toMatch(/^rrff(rf)+$/)
  expect(timingOf([ours, theirs], { file: 64, reference: 64 })).toMatchObject({
    speedup: 4,
    throughput: { file: 6400 },
  })
  expect(latencyOf([3, 1, 2])).toEqual({ p50: 2, p99: 3 })
})

describe('a file', () => {
  test('that gives the same numbers passes, on each runtime', async () => {
    const proof = await proveFile(fileOf({ off: 1e-6 }), { ...quick, seconds: 0.01 })
    expect(proof).toMatchObject({
      ok: true,
      failures: [],
      file: { form: 'float32', opset: 17, onnxruntime: '1.12' },
    })
    expect(proof.runtimes.map(r => r.device)).toEqual(['cpu', 'wasm'])
    for (const r of proof.runtimes) {
      expect(r.answers?.accuracy).toEqual({ reference: 1, file: 1, drop: 0 })
      expect(r.latency).toMatchObject({ batch: 1, speedup: expect.any(Number) })
      expect(r.throughput?.batch).toBe(64)
    }
  })

  test('that is int8 passes; the same with weights that are rounded too far fails, with numbers', async () => {
    const good = await proveFile(fileOf({ scale: 1 / 127 }), { ...quick, maxDrop: 5, devices: ['cpu'] })
    expect(good.failures).toEqual([])
    expect(good.file).toMatchObject({ form: 'int8', lossy: true, weights: { int8: expect.any(Number) } })
    const bad = await proveFile(fileOf({ scale: 0.9 }), { ...quick, maxDrop: 5 })
    expect(bad.ok).toBe(false)
    expect(bad.failures[0]).toMatch(
      /^onnxruntime-node cpu: accuracy drops by \d+\.\d\d points, from 100\.00 % to /,
    )
    expect(bad.runtimes[0]?.answers?.disagreements.length).toBeGreaterThan(5)
    // The reference's own file is right there.
    expect(bad.failures.join()).not.toContain('the fault is in')
    // An image page needs nothing else, and holds no script.
    const { document } = parseHTML(await proofPage(bad, data))
    expect(document.querySelector('.score b')?.textContent).toBe('Failed')
    expect(document.querySelectorAll('script, link, [src^="http"]')).toHaveLength(0)
    expect(document.querySelectorAll('.runtimes tbody tr')).toHaveLength(2)
    expect([...document.querySelectorAll('section')].map(s => s.id)).toEqual([
      ...['runtimes', 'size', 'disagreements', 'classes', 'machine'],
    ])
  })

  test('may take and give half precision, and fix the size of batches', async () => {
    const proof = await proveFile(fileOf({ dtype: 'float16', batch: 3 }), {
      ...quick,
      seconds: 0.01,
      maxDrop: 2,
    })
    expect(proof.failures).toEqual([])
    expect(proof.file.form).toBe('float16')
    expect(proof.runtimes[0]?.latency?.batch).toBe(3)
    expect(proof.runtimes[0]?.maxAbsDiff).toBeGreaterThan(0)
    expect(proof.runtimes[0]?.maxAbsDiff).toBeLessThan(0.01)
  })

  test('whose outputs are no classes is judged by its numbers', async () => {
    const { label: _, ...arrays } = data.arrays
    const own = {
      reference: fileOf({ output: 'y' }),
      data: { ...data, arrays },
      seconds: 0,
      devices: ['cpu'],
    } as const
    const good = await proveFile(fileOf({ output: 'y', scale: 1 / 127 }), own)
    expect(good).toMatchObject({
      ok: true,
      runtimes: [{ examples: 200, outputs: { y: { max: expect.any(Number) } } }],
    })
    const bad = await proveFile(fileOf({ output: 'y', scale: 1 / 127, off: 3 }), own)
    expect(bad.failures).toEqual([expect.stringMatching(/output y is off by \d+\.\d\d % of its spread/)])
  })

  test('that gives no numbers, or cannot be run on a device that was asked for, fails', async () => {
    const nan = await proveFile(fileOf({ off: Number.NaN }), { ...quick, devices: ['cpu'] })
    expect(nan.failures).toEqual([expect.stringContaining('not a number')])
    const { env } = process
    process.env = { ...env, CHROME_PATH: '/nowhere' }
    const asked = await proveFile(reference, { ...quick, devices: ['chromium-wasm'] }).finally(() => {
      process.env = env
    })
    expect(asked.failures).toEqual([
      expect.stringContaining('CHROME_PATH is /nowhere, which is not a program'),
    ])
  })
})

test('a browser is found by its name, or by its place on each system', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'onnxgrad-find-'))
  const program = join(folder, 'chromium')
  await writeFile(program, '', { mode: 0o755 })
  expect(await findChromium({ CHROME_PATH: program })).toBe(program)
  if (process.platform === 'linux') expect(await findChromium({ PATH: folder })).toBe(program)
  await rm(folder, { recursive: true })
  expect(chromiumPlaces({ PROGRAMFILES: 'C:\\Program Files' }, 'win32')[0]).toBe(
    'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  )
  expect(chromiumPlaces({}, 'darwin')[0]).toContain('/Applications/Google Chrome.app')
})

test('arrays cross over to a page and back in one message', () => {
  const [a, b] = [Float32Array.of(1, 2, 3), BigInt64Array.of(-1n)]
  const bytes = packed([a, b], offsets => ({ offsets }))
  const { value, rest } = unpacked(Buffer.from(bytes))
  expect(value).toEqual({ offsets: [0, 16] })
  expect(tensorAt(rest, { type: 'float32', dims: [3], offset: 0, bytes: 12 }, 'float32').data).toEqual(a)
  expect(tensorAt(rest, { type: 'int64', dims: [1], offset: 16, bytes: 8 }, 'int64').data).toEqual(b)
})
