import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseHTML } from 'linkedom'
import { beforeAll, expect, test } from 'vitest'
import { complaint, onnxgrad, workFolder, writeDigits } from './program.ts'

const folder = await workFolder()
const data = join(folder, 'digits')
const run = join(folder, 'run')
let summary: Record<string, unknown>

beforeAll(async () => {
  await mkdir(data)
  await writeDigits(data, 300, 120)
  const trained = await onnxgrad(
    ...['train', 'mlp', '--data', data, '--epochs', '2', '--no-verify', '--out', run, '--json'],
  )
  expect(trained.stderr + trained.code).toMatch(/0$/)
  summary = trained.json
})

test('report writes the page of a run, with the accuracy that its training came to', async () => {
  const file = join(run, 'report.html')
  await rm(file, { force: true })
  const { code, json } = await onnxgrad('report', run, '--data', data, '--json')
  const page = await readFile(file, 'utf8')
  expect([code, json]).toEqual([0, { file, bytes: Buffer.byteLength(page) }])
  const { document } = parseHTML(page)
  const accuracy = `${(100 * Number(summary.testAccuracy)).toFixed(2)}\u00a0%`
  expect(document.querySelector('.score b')!.textContent).toBe(accuracy)
  expect([...document.querySelectorAll('.epochs tbody tr')]).toHaveLength(2)
  expect(document.querySelector('h1')!.textContent).toBe('mlp · small')
})

test('a report needs not be told again where the data is, and is the same in every byte', async () => {
  const before = await readFile(join(run, 'report.html'), 'utf8')
  await rm(join(run, 'report.html'))
  expect((await onnxgrad('report', run)).code).toBe(0)
  expect(await readFile(join(run, 'report.html'), 'utf8')).toBe(before)
})

test('data that the run was not tested on is refused, and the old report stays', async () => {
  const other = join(folder, 'other')
  await mkdir(other)
  await writeDigits(other, 300, 60)
  const before = await readFile(join(run, 'report.html'), 'utf8')
  const refused = await onnxgrad('report', run, '--data', other)
  expect(refused.code).toBe(1)
  expect(complaint(refused)[0]).toMatch(/tested on 120 examples, and .* has 60; .*--data/)
  expect(await readFile(join(run, 'report.html'), 'utf8')).toBe(before)
})

test('a folder that is no run is refused in one line', async () => {
  const refused = await onnxgrad('report', data, '--data', data)
  expect(refused.code).toBe(1)
  expect(complaint(refused)).toEqual([expect.stringContaining(`${data} is not a run folder of onnxgrad`)])
})

test('a run that is copied while it goes on is reported as far as it has come', async () => {
  const copy = join(folder, 'copy')
  await cp(run, copy, { recursive: true })
  const lines = (await readFile(join(run, 'metrics.jsonl'), 'utf8')).split('\n')
  await writeFile(join(copy, 'metrics.jsonl'), `${lines[0]}\n${lines[1]!.slice(0, 20)}`)
  expect((await onnxgrad('report', copy, '--data', data)).code).toBe(0)
  const page = await readFile(join(copy, 'report.html'), 'utf8')
  expect(page).toContain('The run is not complete: 1 of 2 epochs are done.')
})
