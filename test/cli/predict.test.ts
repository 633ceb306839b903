import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, expect, test } from 'vitest'
import type { NodeProto } from '../../src/export/onnx-proto.ts'
import { fileOf, node, port, values } from '../ort/foreign.ts'
import { complaint, type Finished, hiding, start, workFolder, writeDigits } from './program.ts'

const folder = await workFolder()
const run = (...args: string[]): Promise<Finished> => start(args, folder).finished
const linesOf = ({ stdout }: Finished) => stdout.trim().split('\n')
const jsonOf = (finished: Finished) =>
  linesOf(finished).map(line => JSON.parse(line) as Record<string, unknown>)

/** Pictures of 2 × 2 pixels, one of which is white; the model's class is its place. */
const PLACES = [0, 1, 2, 3, 2, 1, 0]
const picture = (place: number) =>
  sharp(
    Uint8Array.from({ length: 4 }, (_, i) => (i === place ? 255 : 0)),
    { raw: { width: 2, height: 2, channels: 1 } },
  )
    .png()
    .toBuffer()

/** A model whose scores are the pixels. @param batch its size of batches; a name where any will do */
const places = (batch: number | string): Uint8Array => {
  const nodes: NodeProto[] = [
    node('Reshape', ['image', 'row'], 'rows'),
    node('Mul', ['rows', 'scale'], 'logits'),
  ]
  return fileOf({
    input: [port('image', [batch, 1, 2, 2])],
    output: [port('logits', [batch, 4])],
    initializer: [
      values('row', 'int64', [2], [typeof batch === 'number' ? batch : -1, 4]),
      values('scale', 'float32', [1], [9]),
    ],
    node: nodes,
  })
}

const file = (i: number): string => join('photos', i % 2 ? 'inner' : '.', `${i}.png`)

beforeAll(async () => {
  await mkdir(join(folder, 'photos/inner'), { recursive: true })
  for (const [i, place] of PLACES.entries()) await writeFile(join(folder, file(i)), await picture(place))
  await writeFile(join(folder, 'photos/notes.txt'), 'not a picture, by its name')
  for (const batch of ['batch', 1, 3]) await writeFile(join(folder, `${batch}.onnx`), places(batch))
})

const answers = (finished: Finished) =>
  Object.fromEntries(jsonOf(finished).map(({ file, class: label }) => [file, label]))
const EXPECTED = Object.fromEntries(PLACES.map((place, i) => [file(i), place]))

test.each(['batch', '1', '3'])(
  'classifies the pictures of a folder, one JSON object a line, with a file whose batch is %s',
  async batch => {
    for (const size of ['2', '64']) {
      const finished = await run('predict', `${batch}.onnx`, 'photos', '--json', '--batch', size)
      expect(complaint(finished)).toEqual([])
      expect(answers(finished)).toEqual(EXPECTED)
    }
  },
)

test('takes files, patterns, lists and a picture on stdin, in the order in which they are named', async () => {
  const paths = [file(2), file(0), file(3)]
  const named = await run('predict', 'batch.onnx', file(2), 'photos/0*.png', file(3), '--json')
  expect(jsonOf(named).map(line => line.file)).toEqual(paths)

  const piped = start(['predict', 'batch.onnx', '-', '--json'], folder)
  piped.child.stdin!.end(await readFile(join(folder, file(3))))
  expect((await piped.finished).json).toMatchObject({ file: '-', class: 3 })

  const listed = start(['predict', 'batch.onnx', '--files-from', '-', '--json'], folder)
  listed.child.stdin!.end(`${paths.join('\n')}\n`)
  expect(jsonOf(await listed.finished).map(line => line.file)).toEqual(paths)
})

test('names the pictures that cannot be read, does the rest, and fails', async () => {
  await writeFile(join(folder, 'broken.png'), 'not a picture')
  const names = [file(1), 'broken.png', 'none.png', 'none*.png', file(2)]
  const finished = await run('predict', 'batch.onnx', ...names)
  expect(finished.code).toBe(1)
  expect(complaint(finished)).toEqual([
    'onnxgrad: broken.png: is not a picture (PNG, JPEG or WebP is expected)',
    'onnxgrad: none.png: does not exist',
    'onnxgrad: none*.png: no file has such a name',
    'onnxgrad: 3 of 5 pictures could not be read',
  ])
  expect(linesOf(finished).slice(-2)).toEqual([
    `1          99.96 %  ${file(1)}`,
    `2          99.96 %  ${file(2)}`,
  ])
  const json = await run('predict', 'batch.onnx', ...names, '--json')
  expect(jsonOf(json).map(line => line.class ?? line.error)).toEqual([
    1,
    'broken.png: is not a picture (PNG, JPEG or WebP is expected)',
    'none.png: does not exist',
    'none*.png: no file has such a name',
    2,
  ])
})

test('eval and verify run a file that fixes its batch, too', async () => {
  const data = join(folder, 'digits')
  await mkdir(data)
  await writeDigits(data, 20, 50)
  const model = (batch: number | string) =>
    fileOf({
      input: [port('image', [batch, 1, 28, 28])],
      output: [port('logits', [batch, 10])],
      initializer: [
        values('row', 'int64', [2], [typeof batch === 'number' ? batch : -1, 784]),
        values(
          'w',
          'float32',
          [784, 10],
          Array.from({ length: 7840 }, (_, i) => Math.sin(i)),
        ),
      ],
      node: [node('Reshape', ['image', 'row'], 'rows'), node('MatMul', ['rows', 'w'], 'logits')],
    })
  for (const batch of ['batch', 8]) await writeFile(join(folder, `digits-${batch}.onnx`), model(batch))
  const [any, fixed] = await Promise.all(
    ['batch', 8].map(batch => run('eval', `digits-${batch}.onnx`, '--data', data, '--json')),
  )
  expect(fixed!.json).toMatchObject({ count: 50, confusion: any!.json.confusion })
  expect((await run('verify', 'digits-8.onnx', '--data', data, '--json')).json).toMatchObject({ ok: true })
})

test('flags are numbers in their range, and are given once', async () => {
  const refused = async (...flags: string[]) =>
    complaint(await run('predict', 'batch.onnx', 'photos', ...flags))
  expect(await refused('--batch', 'abc')).toEqual([
    'onnxgrad: --batch must be a whole number from 1 to 65536, not abc',
  ])
  expect(await refused('--top', '1e9')).toEqual([
    'onnxgrad: --top must be a whole number from 1 to 10000, not 1000000000',
  ])
  expect(await refused('--timeout', '-1')).toEqual([
    'onnxgrad: --timeout must be a number above 0 and at most 2000000, not -1',
  ])
  expect(await refused('--batch', '3', '--batch', '4')).toEqual([
    'onnxgrad: --batch is given twice; give it once',
  ])
  expect(await refused('--batch', '3')).toEqual([])
})

test('help needs neither onnxruntime nor sharp, is short, and whole with --help-all', async () => {
  const without = [hiding('onnxruntime-node', 'onnxruntime-web', 'onnxruntime-web/wasm', 'sharp', 'linkedom')]
  const help = async (...args: string[]) => {
    const { code, stdout } = await start(args, folder, without).finished
    expect(code).toBe(0)
    return stdout
  }
  expect(await help()).toBe(await help('--help'))
  const [short, whole] = [await help('predict', '--help'), await help('predict', '--help-all')]
  expect(short).toContain('--help-all')
  expect(short).not.toContain('--timeout')
  expect(whole).toContain('--timeout')
})
