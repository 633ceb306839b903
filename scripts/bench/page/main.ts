/// <reference types="vite/client" />

import loader from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url'
import binary from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url'
import type { ViTConfig } from '../../../models/vit-config.ts'
import { present } from '../../../src/graph/present.ts'
import { webRuntime } from '../../../src/runtime/web.ts'
import { type Jax, trainJax } from '../peers/jax-js.ts'
import { trainOnnxgrad } from '../peers/onnxgrad.ts'
import type { Request, Step } from '../peers/protocol.ts'
import { readStart } from '../peers/start.ts'

// What page.ts calls: it loads one of the trainers, and takes its steps.

const fetched = async (path: string): Promise<Response> => {
  const response = await fetch(path)
  if (!response.ok) throw new Error(`${path}: ${response.status}`)
  return response
}

const here = (url: string): URL => new URL(url, import.meta.url)

async function trainer(name: string): Promise<() => Promise<number>> {
  const request: Request = await (await fetched('request.json')).json()
  const start = readStart(await (await fetched('start.safetensors')).bytes())
  if (name === 'onnxgrad') {
    const wasmPaths = { mjs: here(loader), wasm: here(binary) }
    return trainOnnxgrad(await webRuntime({ threads: request.threads, wasmPaths }), request, start)
  }
  const jax: Jax = await import(/* @vite-ignore */ new URL('jax-js/index.js', location.href).href)
  await jax.init('wasm')
  return trainJax(jax, request.config as ViTConfig, request.lr, start)
}

let step: (() => Promise<number>) | undefined

export const bench = {
  async load(name: string): Promise<void> {
    step = await trainer(name)
  },
  async step(): Promise<Step> {
    const begin = performance.now()
    const loss = await present(step, 'training')()
    return { ms: performance.now() - begin, loss }
  },
}
Object.assign(globalThis, { bench })
