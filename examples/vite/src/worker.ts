import digitsUrl from 'onnxgrad/digits.bin?url'
import { lenet } from 'onnxgrad/models'
import {
  adamW,
  type Closable,
  devices,
  digits,
  exportOnnx,
  type ImagePredictor,
  imagePredictor,
  train,
  type WebDeviceName,
} from 'onnxgrad/web'
import gpuLoader from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url'
import gpuBinary from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'
import loader from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url'
import binary from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url'

const RUNTIMES = {
  wasm: { mjs: loader, wasm: binary },
  webgpu: { mjs: gpuLoader, wasm: gpuBinary },
} as const

export type Question =
  | { readonly ask: 'devices' | 'stop' }
  | { readonly ask: 'train'; readonly device: WebDeviceName; readonly epochs: number }
  | { readonly ask: 'predict'; readonly picture: Blob }

let stop = new AbortController()
let predictor: (ImagePredictor & Closable) | undefined

async function answer(question: Question): Promise<object> {
  switch (question.ask) {
    case 'devices':
      return { devices: await devices() }
    case 'stop':
      stop.abort()
      return {}
    case 'train': {
      stop = new AbortController()
      const { device, epochs } = question
      const run = await train(lenet({ image: 28, channels: 1, classes: 10 }), {
        data: await digits(digitsUrl),
        device,
        wasmPaths: RUNTIMES[device],
        epochs,
        optimizer: adamW({ lr: 1e-3 }),
        signal: stop.signal,
        onStep: progress => postMessage({ progress }),
      })
      await predictor?.close()
      predictor = await imagePredictor(run.model, { wasmPaths: RUNTIMES.wasm })
      return { accuracy: run.test?.accuracy, onnx: exportOnnx(run.model) }
    }
    case 'predict':
      return { prediction: await predictor?.predict(question.picture) }
  }
}

addEventListener('message', async ({ data }: MessageEvent<Question>) => {
  try {
    postMessage(await answer(data))
  } catch (error) {
    postMessage({ error: error instanceof Error ? error.message : String(error) })
  }
})
