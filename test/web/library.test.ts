import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import sharp from 'sharp'
import { describe, expect, onTestFinished, test } from 'vitest'
import { mlp } from '../../models/index.ts'
import { readPixels } from '../../src/data/image-node.ts'
import { type ImageShape, type Preprocessing, preprocess } from '../../src/data/preprocess.ts'
import * as node from '../../src/node.ts'
import type * as web from '../../src/web.ts'
import { fileOf } from '../ort/foreign.ts'
import { loopingImages } from '../ort/looping.ts'
import { apart } from './apart.ts'
import { launch, noBrowser } from './browser.ts'
import { digitPng, libraryPages } from './library-page.ts'
import { ONE_PROGRAM } from './one-program.ts'
import { pictureCases } from './picture-cases.ts'

/** What {@link ONE_PROGRAM} prints. */
interface Came {
  readonly losses: readonly number[]
  readonly epochs: readonly number[]
  readonly test: web.FitResult['test']
  readonly outputs: readonly number[]
  readonly fromFile: readonly number[]
  readonly loaded: readonly number[]
  readonly judged: web.Evaluation
  readonly own: readonly Readonly<Record<string, number>>[]
  readonly steps: number
}

type Way = readonly [shape: ImageShape, how: Preprocessing]

describe.skipIf(noBrowser)(`onnxgrad/web${noBrowser ? ` (${noBrowser})` : ''}`, () => {
  const { folder, open, put } = libraryPages()

  describe('pictures', () => {
    /** The bytes that a page makes of a file in each of these ways, one behind the other. */
    const inPage = async (page: Page, bytes: Uint8Array, ways: readonly Way[]): Promise<Buffer> =>
      Buffer.from(
        await page.evaluate(
          async ([text, ways]) => {
            const file = new Blob([Uint8Array.from(atob(text), c => c.charCodeAt(0))])
            const parts: Uint8Array[] = []
            for (const [shape, how] of ways) parts.push(await window.web.readPicture(file, 'it', shape, how))
            const url = await new Promise<string>(resolve => {
              const reader = Object.assign(new FileReader(), { onload: () => resolve(String(reader.result)) })
              reader.readAsDataURL(new Blob(parts as BlobPart[]))
            })
            return url.slice(url.indexOf(',') + 1)
          },
          [Buffer.from(bytes).toString('base64'), ways] as const,
        ),
        'base64',
      )

    test('are read as Node reads them: every kind, size and orientation', { timeout: 120_000 }, async () => {
      const { page } = await open('/empty.html')
      const path = join(folder(), 'picture')
      const differing: string[] = []
      const cases = await pictureCases()
      for (const { name, bytes, most = 0 } of cases) {
        await writeFile(path, bytes)
        const picture = await readPixels(path)
        const { width, height } = picture
        const ways: Way[] = [
          [[3, 32, 32], { kind: 'resize' }],
          [[1, 28, 28], { kind: 'resize' }],
          [[3, 20, 30], { kind: 'stretch' }],
        ]
        // Every pixel, too, of those that are not too large to be sent here.
        if (width * height < 400_000) ways.push([[3, height, width], { kind: 'stretch' }])
        const want = ways.flatMap(([shape, how]) => [...preprocess(picture, how, shape).image])
        const far = apart(await inPage(page, bytes, ways), want)
        if (far > most) differing.push(`${name}: ${far}`)
      }
      expect(differing).toEqual([])
      expect(cases.length).toBeGreaterThan(50)
    })

    test('become digits as in Node, light on dark whatever they are; a blank one is refused', async () => {
      const { page } = await open('/empty.html')
      const path = join(folder(), 'picture')
      const way: Way = [[1, 28, 28], { kind: 'digit', ink: 'light' }]
      const large = sharp(await digitPng(5)).resize(300, 260, { fit: 'fill' })
      for (const [file, least] of [
        [sharp(await digitPng(7)).png(), 0],
        [large.clone().negate({ alpha: false }).jpeg(), 0],
        [large.clone().extend({ left: 90, background: 'black' }).webp(), 0],
      ] as const) {
        const bytes = await file.toBuffer()
        await writeFile(path, bytes)
        const { image } = preprocess(await readPixels(path), way[1], way[0])
        expect(apart(await inPage(page, bytes, [way]), image)).toBe(least)
      }
      const blank = await sharp({ create: { width: 9, height: 9, channels: 3, background: '#eef' } })
        .png()
        .toBuffer()
      await expect(inPage(page, blank, [way])).rejects.toThrow('it: is blank: there is no ink to center')
      expect(new Set(await inPage(page, blank, [[[3, 4, 4], { kind: 'resize' }]]))).toEqual(
        new Set([0xee, 0xff]),
      )
    })

    test('are prepared as a model’s file says, and as its digits were where it says nothing', async () => {
      const { page } = await open('/empty.html')
      const seven = await sharp(await digitPng(7))
        .resize(200, 200)
        .negate({ alpha: false })
        .png()
        .toBuffer()
      const got = await page.evaluate(async text => {
        const { exportOnnx, imagePredictor } = window.web
        const config = { image: 28, channels: 1, hidden: [4], classes: 10 }
        const model = window.models.mlp(config)
        const params = Float32Array.from({ length: 785 * 4 + 5 * 10 }, (_, i) => Math.sin(i))
        const classes = [...'0123456789']
        const file = new Blob([Uint8Array.from(atob(text), c => c.charCodeAt(0))])
        const answers = []
        for (const about of [
          { classes },
          { classes, preprocessing: { kind: 'digit', ink: 'light' } as const },
          { classes, preprocessing: { kind: 'resize' } as const },
          { classes: [...'abcdefghij'] },
        ]) {
          const predictor = await imagePredictor(exportOnnx({ model, params, ...about }))
          const { logits } = await predictor.predict(file)
          answers.push({ how: predictor.preprocessing, logits: [...logits] })
          await predictor.close()
        }
        return answers
      }, seven.toString('base64'))
      expect(got.map(a => a.how.kind)).toEqual(['digit', 'digit', 'resize', 'resize'])
      expect(got[0]!.logits).toEqual(got[1]!.logits)
      expect(got[2]!.logits).toEqual(got[3]!.logits)
      expect(apart(got[0]!.logits, got[2]!.logits)).toBeGreaterThan(0.01)
    })

    test('in folders, one for each class, are data; what is no picture is named', async () => {
      const { page } = await open('/empty.html')
      const [one, seven] = [[...(await digitPng(1))], [...(await digitPng(7))]] as const
      const got = await page.evaluate(
        async ([one, seven]) => {
          const file = (name: string, bytes: readonly number[]) => new File([Uint8Array.from(bytes)], name)
          const labelled = (label: string, name: string, bytes: readonly number[]) => ({
            label,
            file: file(name, bytes),
          })
          const shape = [1, 28, 28] as const
          const { imageFolder } = window.web
          const problem = (files: Parameters<typeof imageFolder>[0]) =>
            imageFolder(files, shape).then(
              () => 'none',
              (error: Error) => `${error.name}: ${error.message}`,
            )
          const fives = (label: string, bytes: readonly number[]) =>
            Array.from({ length: 5 }, (_, i) => labelled(label, `${i}.png`, bytes))
          const good = [...fives('seven', seven), ...fives('one', one), labelled('one', '.hidden', [])]
          const { train, test } = await imageFolder(good, shape)
          const placed = (path: string, bytes: readonly number[]) => ({ path, file: file('x.png', bytes) })
          const splits = ['Training/seven', 'Training/one', 'TEST/one', 'TEST/seven'].flatMap(folder =>
            [0, 1].map(i => placed(`${folder}/${i}.png`, folder.endsWith('one') ? one : seven)),
          )
          const bad = [placed('Training/one/bad.png', []), placed('TEST/one/notes.txt', [1])]
          const parts = await imageFolder([...splits, ...bad], shape, { skipBad: true })
          return {
            parts: [parts.train.size, parts.test.size, parts.train.classes, parts.skipped, parts.notice],
            classes: train.classes,
            sizes: [train.size, test.size],
            first: [...train.images.subarray(0, 784)],
            label: train.labels[0],
            problems: [
              await problem([...good, labelled('one', 'notes.txt', [1, 2, 3])]),
              await problem(fives('one', one)),
              await problem([]),
              await problem([file('loose.png', one)]),
              await problem([...splits, ...bad]),
              await problem([...splits, placed('two/0.png', one)]),
            ],
          }
        },
        [one, seven] as const,
      )
      expect(got.classes).toEqual(['one', 'seven'])
      expect(got.sizes).toEqual([8, 2])
      const drawn = await sharp(await digitPng(got.label ? 7 : 1))
        .toColourspace('b-w')
        .raw()
        .toBuffer()
      expect(got.first).toEqual([...drawn])
      expect(got.problems).toEqual([
        expect.stringMatching(
          /^UserError: the files: 1 of 11 pictures cannot be read: one\/notes\.txt is not a picture/,
        ),
        expect.stringMatching(/^UserError: the files: holds pictures of 1 class, one; give/),
        expect.stringMatching(/^UserError: the files: holds pictures of no class; give/),
        expect.stringMatching(/^UserError: loose\.png: is not in a class folder/),
        expect.stringMatching(
          /^UserError: the files: 1 of 9 .*: Training\/one\/bad\.png is empty \(0 bytes\)/,
        ),
        expect.stringMatching(/^UserError: the files: mixes splits \(TEST, Training\) with .*\(two\)/),
      ])
      expect(got.parts).toEqual([
        4,
        4,
        ['one', 'seven'],
        ['Training/one/bad.png'],
        expect.stringMatching(/^Skipped 1 of 9 .*\. Left out 1 entry .*: TEST\/one\/notes\.txt$/),
      ])
    })
  })

  describe('devices', () => {
    const devices = (page: Page) => page.evaluate(() => window.web.devices())

    test('say why they are not available', async () => {
      const { page } = await open('/empty.html')
      expect(await devices(page)).toEqual([
        {
          name: 'wasm',
          available: true,
          detail: expect.stringMatching(/^1 thread; more need a cross-origin-isolated/),
        },
        {
          name: 'webgpu',
          available: false,
          reason: expect.stringMatching(/^the browser found no usable GPU/),
        },
      ])
      const mapped = await launch({ flags: ['--host-resolver-rules=MAP page.example 127.0.0.1'] })
      onTestFinished(() => mapped.close())
      const { page: insecure } = await open('/empty.html', { from: mapped, host: 'page.example' })
      expect((await devices(insecure))[1]!.reason).toBe(
        'browsers give a GPU to https pages and to localhost only',
      )
    })

    test('are refused with what to do', async () => {
      const { page } = await open('/empty.html')
      const problem = (options: web.DeviceOptions) =>
        page.evaluate(
          options =>
            window.web.openRuntime(options).then(
              () => 'none',
              (error: Error) => `${error.name}: ${error.message}`,
            ),
          options,
        )
      expect(await problem({ wasmPaths: '/nowhere/' })).toMatch(
        /^UserError: device wasm is not available: .*; onnxruntime-web's files .* must be where wasmPaths points/,
      )
      expect(await problem({ threads: 2 })).toMatch(/^UserError: 2 threads are not possible here: more need/)
      expect(await problem({ threads: 0 })).toMatch(
        /^UserError: threads must be a whole number of at least 1/,
      )
      expect(await problem({ device: 'webgpu' })).toMatch(
        /^UserError: device webgpu is not available: the browser found/,
      )
      expect(await problem({ device: 'cuda' as 'wasm' })).toMatch(
        /^UserError: unknown device cuda in a browser/,
      )
    })
  })

  test('one program trains, predicts and resumes in Node and in a page to the same numbers', async () => {
    const inNode = join(folder(), 'program.mjs')
    await writeFile(inNode, ONE_PROGRAM)
    const { stdout } = await promisify(execFile)(process.execPath, [inNode])
    const want = JSON.parse(stdout) as Came

    await put('program.js', ONE_PROGRAM.replace("'onnxgrad/node'", "'onnxgrad/web'"))
    const { page, complaints } = await open('/empty.html')
    const [printed] = await Promise.all([
      page.waitForEvent('console', message => message.text().startsWith('{')),
      page.addScriptTag({ url: 'program.js', type: 'module' }),
    ])
    const got = JSON.parse(printed.text()) as Came

    expect(want.losses).toHaveLength(30 * 4)
    expect(want.epochs.at(-1)).toBeLessThan(want.epochs[0]! / 4)
    expect(apart(got.losses, want.losses)).toBeLessThan(1e-5)
    expect(apart(got.outputs, want.outputs)).toBeLessThan(1e-5)
    for (const same of [got.fromFile, got.loaded, want.fromFile, want.loaded])
      expect(apart(same, want.outputs)).toBeLessThan(1e-5)
    expect(got.test!.mae).toBeCloseTo(want.test!.mae!, 5)
    expect([got.steps, want.steps]).toEqual([3, 3])
    for (const [i, own] of want.own.entries())
      for (const [name, value] of Object.entries(own)) expect(got.own[i]![name], name).toBeCloseTo(value, 5)
    for (const { judged, test } of [got, want]) {
      expect(judged.loss).toBeCloseTo(test!.loss, 5)
      expect(judged.mae).toBeCloseTo(test!.mae!, 5)
    }
    expect(complaints).toEqual([])
  })

  test('the page has the names of Node, but for those of its files and devices', async () => {
    const { page } = await open('/empty.html')
    const here = await page.evaluate(() => Object.keys(window.web))
    const ofNode = ['filesBeside', 'images', 'mnist', 'nodeRuntime']
    const others = ['isolatedRuntime', 'EventWriter', 'reportOfRun', 'proofPage', 'proveFile']
    // Runs on a disk, and their settings.
    const runs = Object.keys(node).filter(name => /Runs?$|Repeats$|Search$|^SETTINGS$|^setting$/.test(name))
    const missing = Object.keys(node).filter(name => !here.includes(name))
    expect(missing.sort()).toEqual([...new Set([...ofNode, ...others, ...runs])].sort())
  })

  test('reads models and weights from addresses and files, and gives the user what save names', async () => {
    const { page, complaints } = await open('/empty.html')
    const net = mlp({ image: 8, channels: 1, hidden: [3], classes: 2 })
    await put('net.onnx', node.exportOnnx(net))
    await put('net.safetensors', node.writeWeightsFile(net))
    const [download, got] = await Promise.all([
      page.waitForEvent('download'),
      page.evaluate(async () => {
        const { load, loadWeights, initialized, save, weightsOf } = window.web
        const answer = await fetch('net.onnx')
        const file = new File([await answer.blob()], 'mine.onnx')
        const models = [await load('net.onnx'), await load(file)]
        const weights = await loadWeights('net.safetensors')
        const problem = (work: Promise<unknown>) => work.then(() => 'none', String)
        await save(models[0]!, 'again.onnx')
        return {
          names: models.map(m => m.name),
          same: [...weightsOf(initialized(models[1]!))].every(
            ([name, values]) => String(values) === String(weights[name]),
          ),
          problems: [
            await problem(load('nowhere.onnx')),
            await problem(load(new File(['no model'], 'notes.onnx'))),
            await problem(save(models[0]!, 'model.txt')),
          ],
        }
      }),
    ])
    expect(got.names).toEqual(['net', 'mine'])
    expect(got.same).toBe(true)
    expect(got.problems).toEqual([
      'UserError: nowhere.onnx: the server responded with 404',
      expect.stringMatching(/^UserError: notes\.onnx: /),
      expect.stringMatching(/^UserError: model\.txt: a model is written as \.onnx/),
    ])
    expect(download.suggestedFilename()).toBe('again.onnx')
    const saved = await readFile(await download.path())
    expect(node.loadOnnx(saved, 'again.onnx').parameters.size).toBe(net.parameters.size)
    // The browser itself says of what is not there that it is not.
    expect(complaints).toEqual([expect.stringContaining('404')])
  })

  test('a file with loops is loaded only when that is asked for, and then runs', async () => {
    const { page } = await open('/empty.html')
    const answers = (loops: boolean) =>
      page.evaluate(
        async ([bytes, loops]) => {
          try {
            const predictor = await window.web.imagePredictor(Uint8Array.from(bytes), { loops })
            const { logits } = await predictor.predict(Float32Array.of(1, 2, 3, 4))
            await predictor.close()
            return [...logits]
          } catch (error) {
            return String(error)
          }
        },
        [[...fileOf(loopingImages(3))], loops] as const,
      )
    expect(await answers(false)).toMatch(
      /^UserError: the model has loops, which may never end; set loops: true/,
    )
    expect(await answers(true)).toEqual([8, 16, 24, 32])
  })
})
