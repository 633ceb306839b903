// Compares optimizeModel's files with what other optimizers make of the plain export: npx tsx scripts/bench-optimize.ts [model or file.onnx …]
// A Python with onnx, onnxruntime and onnxsim (ONNXGRAD_PYTHON, else python3) adds their files.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MODELS } from '../models/index.ts'
import { optimizeModel } from '../src/deploy/optimize.ts'
import { exportOnnx } from '../src/export/export.ts'
import { readOnnx } from '../src/export/read.ts'
import { lookup, nth } from '../src/graph/present.ts'
import { rng } from '../src/graph/random.ts'
import { loadOnnx } from '../src/import/load.ts'
import type { Model } from '../src/nn/model.ts'
import { initialized, type TrainedModel } from '../src/nn/trained.ts'
import { nodeRuntime } from '../src/runtime/node.ts'
import { interleaved, median, ratio, timed } from './bench/timing.ts'

const { cct, gpt, lenet, mlp, resnet, vit } = MODELS
const KNOWN: Readonly<Record<string, () => Model>> = {
  lenet: () => lenet.build(lenet.presets.mnist),
  mlp: () => mlp.build(mlp.presets.small),
  resnet18: () =>
    resnet.build({ ...resnet.presets.resnet18, image: 28, channels: 1, classes: 10, stem: 'cifar' }),
  cct: () => cct.build(cct.presets.mnist),
  'vit-lecture': () => vit.build(vit.presets.lecture),
  'vit-best': () => vit.build(vit.presets.best),
  gpt: () => gpt.build(gpt.presets.char),
}

/** Reads plain.onnx of a folder and writes sim.onnx and ort.onnx. */
const OTHERS = `
import sys, onnx, onnxruntime as ort
from onnxsim import simplify
folder = sys.argv[1]
onnx.save(simplify(onnx.load(f'{folder}/plain.onnx'))[0], f'{folder}/sim.onnx')
options = ort.SessionOptions()
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
options.optimized_model_filepath = f'{folder}/ort.onnx'
ort.InferenceSession(f'{folder}/plain.onnx', options, providers=['CPUExecutionProvider'])
`

/** Weights as training leaves them: none is 0 or equal to another, so that none can be left out. */
function asTrained(model: Model): TrainedModel {
  const random = rng(1)
  const { params } = initialized(model, 1)
  return { model, params: params.map(p => p * (1 + 0.2 * random.normal()) + 0.02 * random.uniform()) }
}

const sourceOf = (name: string): TrainedModel =>
  name.endsWith('.onnx') ? initialized(loadOnnx(readFileSync(name), name)) : asTrained(lookup(KNOWN, name)())

function otherFiles(plain: Uint8Array): Record<string, Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), 'onnxgrad-optimize-'))
  try {
    writeFileSync(join(folder, 'plain.onnx'), plain)
    const { status } = spawnSync(process.env.ONNXGRAD_PYTHON ?? 'python3', ['-c', OTHERS, folder])
    if (status !== 0) return {}
    const read = (file: string) => new Uint8Array(readFileSync(join(folder, file)))
    return { onnxsim: read('sim.onnx'), 'ort basic': read('ort.onnx') }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const runtime = await nodeRuntime('cpu')

async function compare(name: string): Promise<void> {
  const trained = sourceOf(name)
  const plain = exportOnnx(trained)
  const optimized = exportOnnx(await optimizeModel(runtime, trained))
  const files: Readonly<Record<string, Uint8Array>> = { plain, optimized, ...otherFiles(plain) }
  const sessions = await Promise.all(Object.values(files).map(bytes => runtime.load(bytes, { threads: 2 })))
  const feedsOf = (batch: number) => {
    const random = rng(2)
    return Object.fromEntries(
      Object.entries(trained.model.graph.inputs).map(([key, { dtype, shape }]) => {
        const dims = shape.map((d, i) => (i === 0 ? batch : Number(d)))
        const length = dims.reduce((a, b) => a * b)
        const floats = dtype === 'float32'
        const data = Array.from({ length }, () => (floats ? random.uniform() : random.int(10)))
        return [key, runtime.tensor(dtype, floats ? Float32Array.from(data) : Int32Array.from(data), dims)]
      }),
    )
  }
  const runs = (batch: number) => {
    const feeds = feedsOf(batch)
    return sessions.map(session => timed(() => session.run(feeds)))
  }
  const outputs = await Promise.all(sessions.map(session => session.run(feedsOf(3))))
  const [first] = Object.keys(trained.model.outputs)
  const values = outputs.map(o => lookup(o, String(first)).data as Float32Array)
  const apart = (y: Float32Array): number => {
    const x = nth(values, 0)
    const largest = x.reduce((m, v) => Math.max(m, Math.abs(v)), 0)
    return y.reduce((m, v, i) => Math.max(m, Math.abs(v - Number(x[i]))), 0) / largest
  }
  const one = await interleaved(runs(1), { rounds: 400, seconds: 4 })
  const many = await interleaved(runs(64), { rounds: 60, seconds: 6, least: 7 })
  // Ratios of neighbours in time say more than medians on a machine that others use.
  const columns = (times: readonly (readonly number[])[], i: number): string =>
    `${median(nth(times, i)).toFixed(3).padStart(9)} ${ratio(nth(times, i), nth(times, 0)).toFixed(2)}`
  for (const [i, [kind, bytes]] of Object.entries(files).entries())
    console.log(
      [
        name.replace(/^.*\//, '').padEnd(20),
        kind.padEnd(10),
        String(bytes.length).padStart(10),
        String(readOnnx(bytes, kind).proto.graph?.node?.length ?? 0).padStart(5),
        columns(one, i),
        columns(many, i),
        apart(nth(values, i)).toExponential(0).padStart(7),
      ].join(' '),
    )
  await Promise.all(sessions.map(session => session.close()))
}

console.log('model                file            bytes nodes   ms at 1, ÷plain at 64, ÷plain  apart')
const asked = process.argv.slice(2)
for (const name of asked.length ? asked : Object.keys(KNOWN)) await compare(name)
await runtime.close()
