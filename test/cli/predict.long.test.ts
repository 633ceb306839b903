import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { fileOf, node, port, values } from '../ort/foreign.ts'
import { start, workFolder } from './program.ts'

const folder = await workFolder()
/** Prints the most memory that the program took, in kB. */
const MEASURE = `process.on('exit', () => process.stderr.write('peak ' + process.resourceUsage().maxRSS + '\\n'))`

test('predict takes no more memory for 10,000 pictures than for 1,000', async () => {
  await writeFile(
    join(folder, 'model.onnx'),
    fileOf({
      input: [port('image', ['batch', 3, 64, 64])],
      output: [port('logits', ['batch', 12288])],
      initializer: [values('row', 'int64', [2], [-1, 12288])],
      node: [node('Reshape', ['image', 'row'], 'logits')],
    }),
  )
  const pixels = Uint8Array.from({ length: 3 * 256 * 256 }, (_, i) => (i * 7919) % 251)
  const picture = join(folder, 'picture.png')
  await sharp(pixels, { raw: { width: 256, height: 256, channels: 3 } }).toFile(picture)
  expect((await readFile(picture)).length).toBeGreaterThan(1000)
  const peakOf = async (count: number): Promise<number> => {
    const pictures = join(folder, String(count))
    await mkdir(pictures)
    for (let i = 0; i < count; i++) await symlink(picture, join(pictures, `${i}.png`))
    const measured = `--import=data:text/javascript,${encodeURIComponent(MEASURE)}`
    const { code, stdout, stderr } = await start(['predict', 'model.onnx', pictures], folder, [measured])
      .finished
    expect([code, stdout.trim().split('\n').length]).toEqual([0, count + 3])
    return Number(/peak (\d+)/.exec(stderr)?.[1])
  }
  const [few, many] = [await peakOf(1000), await peakOf(10_000)]
  console.info(
    `predict: ${Math.round(few / 1000)} MB for 1,000 pictures, ${Math.round(many / 1000)} MB for 10,000`,
  )
  expect(many).toBeLessThan(1.2 * few)
}, 600_000)
