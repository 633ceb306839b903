import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { realDigits } from '../data/files.ts'
import { complaint, type Finished, hiding, onnxgrad, start, workFolder, writeDigits } from './program.ts'

const HIDDEN = hiding('onnxruntime-node')
const folder = await workFolder()
const run = join(folder, 'run')

/** Runs the program where onnxruntime-node is not installed. */
const without = (...args: string[]): Promise<Finished> => start(args, undefined, [HIDDEN]).finished

const NOTICE = 'running on WASM, which is slower: onnxruntime-node is not installed; to get it, run: '
const notes = ({ stderr }: Finished) => stderr.split('\n').filter(line => line.includes('WASM'))

beforeAll(() => writeDigits(folder, 100, 40))

describe('without onnxruntime-node', () => {
  it('trains on WASM and says in one line how to get it; the model is used on WASM, too', async () => {
    const training = [
      'train',
      'mlp',
      '--hidden',
      '8',
      '--data',
      folder,
      '--epochs',
      '1',
      '--out',
      run,
      '--json',
    ]
    const trained = await without(...training, '--no-report')
    expect(trained.stderr).not.toContain('onnxgrad: ')
    expect(trained.json).toMatchObject({ device: 'wasm', verified: true })
    expect(notes(trained)).toEqual([expect.stringContaining(NOTICE)])

    const picture = join(folder, 'digit.png')
    const { test } = await realDigits()
    const raw = { width: 28, height: 28, channels: 1 } as const
    await sharp(test.images.subarray(0, 784), { raw }).toFile(picture)
    for (const args of [
      ['eval', run, '--data', folder],
      ['predict', run, picture],
      ['verify', run, '--data', folder],
      ['report', run],
    ]) {
      const finished = await without(...args, '--json')
      expect([args[0], finished.code]).toEqual([args[0], 0])
      expect(notes(finished)).toEqual([expect.stringContaining(NOTICE)])
    }
    // What a run is trained on is one of its settings, so nothing needs to be said where it is resumed.
    const resumed = await without(
      'train',
      '--resume',
      run,
      '--epochs',
      '2',
      '--no-report',
      '--no-verify',
      '--json',
    )
    expect(resumed.json).toMatchObject({ device: 'wasm', epochs: 2 })
    expect(notes(resumed)).toEqual([])
  })

  it('refuses a device of its own when a flag names one', async () => {
    for (const device of ['cpu', 'webgpu', 'cuda']) {
      const finished = await without('eval', run, '--data', folder, '--device', device)
      expect(finished.code).toBe(1)
      expect(complaint(finished)).toEqual([
        expect.stringContaining(
          `device ${device} is not available: onnxruntime-node is not installed; to get it`,
        ),
      ])
    }
    expect((await onnxgrad('eval', run, '--data', folder, '--device', 'cpu', '--json')).json.device).toBe(
      'cpu',
    )
  })
})
