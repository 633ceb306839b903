import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import stringWidth from 'string-width'
import { beforeAll, describe, expect, test } from 'vitest'
import { rng } from '../../src/graph/random.ts'
import { type Finished, onnxgrad, workFolder } from './program.ts'

/** What takes no part in text, or the order of it; the joiner and the non-joiner do. */
const UNSEEN = /[^\P{C}\n\u200c\u200d]|[\p{Zl}\p{Zp}]/u

/** The names of folders may have any character but a slash. */
const INJECTED = 'x\nonnxgrad: all is well\u001b[2J\u0007'
const NAMES = [INJECTED, 'cat\u202egpj.exe', '漢字の猫', 'قطة', '👩🏽\u200d🔬', 'e\u0301', 'y'.repeat(200)]

/** Composed, so that a class has the same name whichever file system its folder comes from. */
const CLASSES = NAMES.map(name => name.normalize()).sort()

const folder = await workFolder()
const data = join(folder, `data ${INJECTED}`)
const run = join(folder, `run ${INJECTED}`)
const picture = join(folder, `picture ${INJECTED}.png`)

/** A picture that is not of one colour. */
async function noise(path: string, seed: number): Promise<void> {
  const random = rng(seed)
  const pixels = Uint8Array.from({ length: 192 }, () => random.int(256))
  await sharp(pixels, { raw: { width: 8, height: 8, channels: 3 } })
    .png()
    .toFile(path)
}

const lines = ({ stdout }: Finished) => stdout.trimEnd().split('\n')

/** Whatever is in files and their names, a program writes the lines that it means to, and nothing hidden. */
function expectPlain({ code, stdout, stderr }: Finished): void {
  expect([code, stderr]).toEqual([0, expect.anything()])
  expect(stdout + stderr).not.toMatch(UNSEEN)
  expect(`${stdout}\n${stderr}`.split('\n').filter(line => line.startsWith('onnxgrad: '))).toEqual([])
}

describe.skipIf(process.platform === 'win32')('names of files, folders and classes', () => {
  let trained: Finished

  beforeAll(async () => {
    for (const [i, name] of NAMES.entries()) {
      await mkdir(join(data, name), { recursive: true })
      for (let k = 0; k < 5; k++) await noise(join(data, name, `${k}.png`), 5 * i + k)
    }
    await writeFile(join(data, NAMES[0]!, `left out ${INJECTED}.txt`), '')
    await noise(picture, 99)
    trained = await onnxgrad(
      ...[
        'train',
        'mlp',
        '--data',
        data,
        '--image',
        '8',
        '--channels',
        '3',
        '--hidden',
        '4',
        '--epochs',
        '1',
      ],
      ...['--no-verify', '--out', run],
    )
  }, 120_000)

  test('break no line of a training, and its report shows them as they are', async () => {
    expectPlain(trained)
    expect(
      lines(trained).filter(line => /^(model|data|training|device|run|done|report) /.test(line)),
    ).toHaveLength(8)
    const report = await readFile(join(run, 'report.html'), 'utf8')
    expect(report).not.toMatch(UNSEEN)
    for (const name of ['cat�gpj.exe', '漢字の猫', 'قطة', '👩🏽\u200d🔬', '\u00e9'])
      expect(report.includes(`<bdi>${name}</bdi>`), name).toBe(true)
    expect(JSON.parse(await readFile(join(run, 'config.json'), 'utf8')).classes).toEqual(CLASSES)
  })

  test('keep the columns of a table', async () => {
    const told = await onnxgrad('eval', run, '--data', data)
    expectPlain(told)
    const table = lines(told).slice(2, 4 + NAMES.length)
    expect(table[1]).toMatch(/^(─+ {2}){8}─+$/)
    // Each column ends where its line does, to the last, which is padded to its left.
    const [first = ''] = table
    const start = stringWidth(first.slice(0, first.indexOf('recall')))
    for (const row of table.slice(2)) expect(stringWidth(row.replace(/\S+( %)?$/, ''))).toBe(start)
    expect(first).toMatch(/y{20}…/)
  })

  test('take a line each where a picture is read, and are whole in JSON', async () => {
    const [told, json] = await Promise.all([
      onnxgrad('predict', run, picture, '--top', '7'),
      onnxgrad('predict', run, picture, '--json'),
    ])
    expectPlain(told)
    // The answer, how the picture was prepared, and an empty line come first.
    expect(lines(told)).toHaveLength(3 + NAMES.length)
    const shares = lines(told)
      .slice(3)
      .map(line => stringWidth(line.slice(0, line.indexOf(' %'))))
    expect(new Set(shares).size).toBe(1)
    expectPlain(json)
    expect(CLASSES).toContain(json.json.label)
  })

  test('break no line of other programs', async () => {
    const out = join(folder, `${INJECTED}.onnx`)
    const told = await Promise.all([
      onnxgrad('export', run, '--out', out),
      onnxgrad('inspect', run, '--graph', '--ops'),
    ])
    for (const finished of told) expectPlain(finished)
    const refused = await onnxgrad('eval', join(folder, INJECTED))
    expect(refused.stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(refused.stderr).not.toMatch(UNSEEN)
  })
})
