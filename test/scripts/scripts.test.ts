import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { rng } from '../../src/graph/random.ts'
import { writeDigits } from '../cli/program.ts'
import { temporaryFolder } from '../data/files.ts'
import { argmax, logitsOf, runScript, scriptSource } from './run.ts'

/** The share of rows whose largest logit is that of the label. */
const accuracyOf = (logits: readonly number[][], labels: ArrayLike<number>): number =>
  logits.filter((row, i) => argmax(row) === labels[i]).length / logits.length

const pixels = (bytes: Uint8Array) => Float32Array.from(bytes, value => value / 255)

test('the scripts state what they reach, and train-mnist is short enough to be read aloud', async () => {
  const mnist = await scriptSource('train-mnist')
  expect(mnist.trimEnd().split('\n').length).toBeLessThanOrEqual(80)
  expect(Number(/^\/\/ Result: ([\d.]+) %/m.exec(mnist)?.[1])).toBeGreaterThanOrEqual(96)
  expect(await scriptSource('train-cifar10')).toMatch(/^\/\/ Result: [\d.]+ % of the test set/m)
  expect(await scriptSource('train-gpt')).toMatch(/^\/\/ Result: [\d.]+ bits per character/m)
})

test('train-mnist prints the accuracy and the prediction of the file that it writes', async () => {
  const folder = await temporaryFolder()
  await writeDigits(folder, 400, 200)
  const args = ['--epochs', '1', '--limit', '300', '--out', join(folder, 'out')]
  const { code, stdout, stderr } = await runScript('train-mnist', args, { env: { ONNXGRAD_DATA: folder } })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })

  const images = (await readFile(join(folder, 't10k-images-idx3-ubyte'))).subarray(16)
  const labels = (await readFile(join(folder, 't10k-labels-idx1-ubyte'))).subarray(8)
  const logits = await logitsOf(join(folder, 'out/vit.onnx'), 'image', pixels(images), [200, 1, 28, 28])
  expect(stdout).toContain(`accuracy ${accuracyOf(logits, labels)} on 200 test images`)
  expect(stdout).toContain(`predicted ${argmax(logits[0]!)}, label ${labels[0]}`)
})

test('train-cifar10 reads a folder, and prints the accuracy of the file that it writes', async () => {
  const folder = await temporaryFolder()
  const random = rng(1)
  // The class is the brightness, beside noise.
  const records = (count: number) =>
    Buffer.concat(
      Array.from({ length: count }, (_, i) =>
        Uint8Array.from({ length: 3073 }, (_, at) => (at ? 20 * (i % 10) + random.int(40) : i % 10)),
      ),
    )
  for (const i of [1, 2, 3, 4, 5]) await writeFile(join(folder, `data_batch_${i}.bin`), records(40))
  const held = records(100)
  await writeFile(join(folder, 'test_batch.bin'), held)
  await writeFile(join(folder, 'batches.meta.txt'), 'a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n')
  const args = ['--epochs', '2', '--limit', '150', '--threads', '1', '--out', join(folder, 'out')]
  const { code, stdout, stderr } = await runScript('train-cifar10', [folder, ...args])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toContain('150 to train on, 20 to validate on')

  const rows = Array.from({ length: 100 }, (_, i) => held.subarray(3073 * i, 3073 * (i + 1)))
  const images = pixels(Buffer.concat(rows.map(row => row.subarray(1))))
  const logits = await logitsOf(join(folder, 'out/model.onnx'), 'image', images, [100, 3, 32, 32])
  const accuracy = accuracyOf(
    logits,
    rows.map(row => Number(row[0])),
  )
  expect(stdout).toContain(`model.onnx: ${(100 * accuracy).toFixed(2)} % of the test set`)

  const missing = await runScript('train-cifar10', [])
  expect(missing).toMatchObject({ code: 2, stdout: '' })
  expect(missing.stderr).toMatch(/^give the folder of CIFAR-10.*cifar-10-binary\.tar\.gz\n$/)
})

test('train-gpt, stopped by Ctrl-C, keeps its best epoch, prints its loss and writes with it', async () => {
  const folder = await temporaryFolder()
  const path = join(folder, 'text.txt')
  const text = 'she sells sea shells by the sea shore. '.repeat(40)
  await writeFile(path, text)
  const args = [path, '--epochs', '1000', '--length', '20', '--out', join(folder, 'out')]
  const { code, stdout, stderr } = await runScript('train-gpt', args, {
    onLine: (line, script) => void (line.startsWith('epoch 1:') && script.kill('SIGINT')),
  })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const [, nats, bits, epoch] =
    /gpt\.onnx: validation ([\d.]+) nats, ([\d.]+) bits per character, epoch (\d+)\n$/.exec(stdout) ?? []
  expect(Number(epoch)).toBeLessThan(100)

  const vocabulary = [...new Set(text)].sort()
  const ids = Int32Array.from(text, character => vocabulary.indexOf(character))
  const cut = Math.floor(0.9 * text.length)
  const held = ids.subarray(cut)
  const rows = Math.floor((held.length - 1) / 64)
  const logits = await logitsOf(join(folder, 'out/gpt.onnx'), 'tokens', held.slice(0, 64 * rows), [rows, 64])
  const losses = logits.map((row, i) => {
    const total = row.reduce((sum, z) => sum + Math.exp(z), 0)
    return Math.log(total) - Number(row[Number(held[i + 1])])
  })
  const loss = losses.reduce((a, b) => a + b) / losses.length
  expect(Math.abs(loss - Number(nats))).toBeLessThan(2e-4)
  expect(Math.abs(loss / Math.log(2) - Number(bits))).toBeLessThan(3e-4)

  // The greedy text begins with the 16 characters of the prompt; the most probable one follows.
  const greedy = /\ngreedy:\n([\s\S]{36})\n\ntemperature/.exec(stdout)?.[1] ?? ''
  expect(greedy.slice(0, 16)).toBe(text.slice(cut, cut + 16))
  expect(greedy[16]).toBe(vocabulary[argmax(logits[15]!)])
})
