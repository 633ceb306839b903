import { describe, expect, onTestFinished, test } from 'vitest'
import { mlp } from '../../models/index.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { initialized } from '../../src/nn/trained.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { openPredictor } from '../../src/train/predictor.ts'
import type * as web from '../../src/web.ts'
import { apart } from './apart.ts'
import { launch, noBrowser } from './browser.ts'
import { images, libraryPages, nodeLogits, PIXELS } from './library-page.ts'
import { noSwiftShader } from './swiftshader.ts'

describe.skipIf(noBrowser)(`onnxgrad/web${noBrowser ? ` (${noBrowser})` : ''}`, () => {
  const { open, put } = libraryPages()

  test.skipIf(noSwiftShader)(
    `WebGPU trains to the losses of WASM and says when the GPU is lost${noSwiftShader ? ` (${noSwiftShader})` : ''}`,
    async () => {
      const gpu = await launch({ gpu: true })
      onTestFinished(() => gpu.close())
      const { page, complaints } = await open('/empty.html', { from: gpu })
      const train = (device: web.WebDeviceName) =>
        page.evaluate(async device => {
          const { adam, digits, exportOnnx, train } = window.web
          const all = await digits('onnxgrad/digits.bin')
          const some = (set: web.ImageSource['train'], size: number) => ({
            ...set,
            size,
            images: set.images.subarray(0, size * 784),
            labels: set.labels.subarray(0, size),
          })
          const model = window.models.vit({
            image: 28,
            channels: 1,
            patch: 7,
            dim: 16,
            depth: 1,
            heads: 2,
            mlp: 32,
            classes: 10,
          })
          const losses: number[] = []
          const { model: trained } = await train(model, {
            data: { ...all, train: some(all.train, 64), test: some(all.test, 8) },
            device,
            batch: 16,
            epochs: 2,
            optimizer: adam({ lr: 3e-3 }),
            onStep: ({ last }) => void losses.push(last.loss),
          })
          return { losses, onnx: [...exportOnnx(trained)] }
        }, device)
      const wasm = await train('wasm')
      const webgpu = await train('webgpu')
      expect(wasm.losses).toHaveLength(8)
      expect(wasm.losses.at(-1)).toBeLessThan(wasm.losses[0]!)
      expect(apart(webgpu.losses, wasm.losses)).toBeLessThanOrEqual(1e-3)

      const gone = await page.evaluate(
        async ([bytes, pixels]) => {
          const told: string[] = []
          const options = { device: 'webgpu', onLost: (reason: string) => told.push(reason) } as const
          const requested: GPUDevice[] = []
          const request = GPUAdapter.prototype.requestDevice
          GPUAdapter.prototype.requestDevice = async function (...args) {
            const device = await request.apply(this, args)
            requested.push(device)
            return device
          }
          const image = Float32Array.from(pixels)
          const predictor = await window.web.imagePredictor(Uint8Array.from(bytes), options)
          const before = await predictor.predict(image)
          requested.at(-1)!.destroy()
          const problems = []
          for (let i = 0; i < 2; i++)
            problems.push(
              await predictor
                .predict(image)
                .then(String, (error: Error) => `${error.name}: ${error.message}`),
            )
          await predictor.close()
          const another = await window.web.imagePredictor(Uint8Array.from(bytes), options)
          const again = await another.predict(image)
          await another.close()
          return { told, problems, before: [...before.logits], again: [...again.logits] }
        },
        [webgpu.onnx, [...images.subarray(0, PIXELS)]] as const,
      )
      const want = (await nodeLogits(Uint8Array.from(webgpu.onnx))).slice(0, 10)
      expect(apart(gone.before, want)).toBeLessThanOrEqual(1e-4)
      expect(gone.told).toHaveLength(1)
      for (const problem of gone.problems)
        expect(problem).toMatch(/^UserError: webgpu: .*the GPU was lost \(.*\); start again/)
      expect(gone.again).toEqual(gone.before)
      expect(complaints).toEqual([])
    },
  )

  test('fine-tunes a file for other classes, which then gives the same scores in Node', async () => {
    const { page, complaints } = await open('/empty.html')
    const net = mlp({ image: 8, channels: 1, hidden: [16], classes: 7 })
    await put('net.onnx', exportOnnx(initialized(net, 1)))
    const pixels = Array.from({ length: 60 * 64 }, (_, i) => {
      const [image, row] = [Math.floor(i / 64), Math.floor((i % 64) / 8)]
      return row < 4 === (image % 2 === 0) ? 200 - ((image * i) % 50) : (image * i) % 60
    })
    const got = await page.evaluate(async pixels => {
      const { exportOnnx, headOf, load, predictor, replaceHead, train } = window.web
      const net = replaceHead(await load('net.onnx'), 2)
      const data = {
        image: { data: Float32Array.from(pixels, v => v / 255), dims: [60, 1, 8, 8] },
        label: Int32Array.from({ length: 60 }, (_, i) => i % 2),
      }
      const run = await train(net, { data, train: headOf(net).parameters, epochs: 100, batch: 10, seed: 1 })
      const answers = await predictor(run.model)
      const { logits } = await answers.run({ image: data.image })
      await answers.close()
      return {
        losses: run.epochs.map(e => e.train.loss),
        measured: run.train,
        logits: [...(logits!.data as Float32Array)],
        onnx: [...exportOnnx(run.model)],
      }
    }, pixels)
    expect(got.losses.at(-1)).toBeLessThan(got.losses[0]! / 2)
    expect(got.measured!.accuracy).toBe(1)
    const own = await openPredictor(await nodeRuntime('cpu'), Uint8Array.from(got.onnx))
    const image = { data: Float32Array.from(pixels, v => v / 255), dims: [60, 1, 8, 8] }
    const { logits } = await own.run({ image })
    await own.close()
    expect(apart(got.logits, logits!.data as Float32Array)).toBeLessThan(1e-5)
    expect(complaints).toEqual([])
  })
})
