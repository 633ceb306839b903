import { describe, expect, test } from 'vitest'
import { subset } from '../../src/data/dataset.ts'
import { loadMnist } from '../../src/data/mnist-node.ts'
import { exportOnnx } from '../../src/export/export.ts'
import { initialized } from '../../src/nn/trained.ts'
import { anew, hasFashion, mnistFile, mnistNetwork } from '../finetune/transfer.ts'
import { noBrowser } from './browser.ts'
import { libraryPages, PIXELS } from './library-page.ts'

const missing = noBrowser || (hasFashion ? '' : 'Fashion-MNIST is not installed')
const [TRAIN, TEST] = [3000, 2000]

describe.skipIf(missing)(`a file of PyTorch, fine-tuned in a page${missing ? ` (${missing})` : ''}`, () => {
  const { open, put } = libraryPages()

  test('learns Fashion-MNIST faster than the same network with random weights', async () => {
    const source = await loadMnist({ data: 'fashion-mnist' })
    const [train, held] = [subset(source.train, TRAIN), subset(source.test, TEST)]
    await put('images.bin', Buffer.concat([train.images, held.images]))
    await put('labels.bin', Uint8Array.from([...train.labels, ...held.labels]))
    await put('mnist.onnx', mnistFile())
    await put('random.onnx', exportOnnx(initialized(anew(mnistNetwork()), 1)))
    const { page, complaints } = await open('/empty.html')
    const got = await page.evaluate(
      async ([pixels, count]) => {
        const { adam, cosine, load, replaceHead, train } = window.web
        const bytes = async (name: string) => new Uint8Array(await (await fetch(name)).arrayBuffer())
        const [images, labels] = [await bytes('images.bin'), await bytes('labels.bin')]
        const set = (from: number, to: number) => ({
          image: {
            data: Float32Array.from(images.subarray(from * pixels, to * pixels), v => v / 255),
            dims: [to - from, 1, 28, 28],
          },
          label: Int32Array.from(labels.subarray(from, to)),
        })
        const data = { train: set(0, count), test: set(count, labels.length) }
        const accuracy = async (name: string) => {
          const net = replaceHead(await load(name, { inputs: { image: { shape: [1, 28, 28] } } }), 10)
          const run = await train(net, {
            data,
            epochs: 2,
            batch: 64,
            optimizer: adam({ lr: 2e-3 }),
            schedule: cosine(),
          })
          return { accuracy: Number(run.test?.accuracy), seconds: run.seconds }
        }
        return { tuned: await accuracy('mnist.onnx'), scratch: await accuracy('random.onnx') }
      },
      [PIXELS, TRAIN] as const,
    )
    console.log(got)
    expect(got.tuned.accuracy).toBeGreaterThan(got.scratch.accuracy + 0.015)
    expect(complaints).toEqual([])
  })
})
