import { execFile } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROOT, temporary } from '../types/compile.ts'

/** The compilers that users have, by the package that has each. */
export const COMPILERS = {
  'TypeScript 5.5': 'typescript-5.5',
  'TypeScript 5.9': 'typescript-5.9',
  'TypeScript 7': 'typescript',
} as const
export type Compiler = keyof typeof COMPILERS

export const RESOLUTIONS = ['node16', 'nodenext', 'bundler'] as const

export interface Settings {
  readonly compiler: Compiler
  readonly resolution: (typeof RESOLUTIONS)[number]
  readonly dom: boolean
}

/** What a program writes that defines, trains, evaluates, exports and predicts. @param host the entry point with a device */
const programOf = (host: 'node' | 'web'): string => `
import { type ArrayValue, constant, input, type Model, ops, print, readSafetensors, summarize, type Tensor, UserError } from 'onnxgrad'
import { type MLPConfig, mlp, vit } from 'onnxgrad/models'
import {
  adamW, average, type Closable, digits, evaluate, exportOnnx, imagePredictor, layer, linear, load, model, mse, openRuntime, type Predictor,
  predictor, readCheckpoint, regression, save, task, train, Trainer, trainer, type TrainOptions, writeCheckpoint,
} from 'onnxgrad/${host}'

const block = layer({ fc: linear(8, 8) }, ['B', 8], (self, x) => ops.relu(self.fc(x)))
const net = model({
  inputs: { x: { shape: [8] } },
  layers: { block, out: linear(8, 1) },
  forward: (self, { x }) => ({ y: self.out(self.block(x)) }),
})
const fit = task(net, {
  targets: { y: { shape: [1] } },
  loss: ({ out, target }) => mse(out.y, target.y),
  metrics: { mae: ({ out, target }) => average(ops.abs(ops.sub(out.y, target.y))) },
})
const shape: readonly ['batch', 1] = net.outputs.y.shape
const options: TrainOptions<'mae'> = { task: fit, data: { x: [[1, 2, 3, 4, 5, 6, 7, 8]], y: [[1]] }, signal: { aborted: false } }

export async function main(): Promise<number> {
  const run = await train(net, { ...options, device: 'wasm' })
  const bytes: Uint8Array = exportOnnx(run.model)
  const t = await trainer(net, { task: fit, optimizer: adamW({ lr: 1e-3 }), threads: 1 })
  const { loss, mae, gradNorm }: { loss: number; mae: number; gradNorm: number } = await t.step({ x: [[1]], y: [[1]] })
  const answer = await t.predict({ x: [[1]] })
  const values: Float32Array = answer.y.data
  // @ts-expect-error the model has no such output
  answer.z
  // @ts-expect-error the model has no such input
  await t.predict({ z: [[1]] })
  const { count } = await evaluate(net, { task: regression(), data: { x: [[1]], y: [[1]] } })
  const p: Predictor<typeof net> & Closable = await predictor(run.model)
  const first: number | undefined = (await p.run({ x: [[1]] })).y.data[0]
  const of: Predictor & Closable = await predictor(bytes)
  const runtime = await openRuntime({ device: 'wasm' })
  const own = new Trainer(runtime, net, { task: fit })
  const again: Uint8Array = writeCheckpoint(readCheckpoint(await own.checkpoint(), 'x'))
  await save(t, 'x.safetensors')
  const file = await load('x.onnx', { inputs: { x: { shape: [8] } } })
  const known: Model = file
  await own.close()
  return loss + mae + gradNorm + count + (first ?? 0) + values.length + again.length
}

const config: MLPConfig = { image: 28, channels: 1, hidden: [16], classes: 10 }
export const all = [mlp(config), vit, digits, imagePredictor, print(net.graph), summarize(net.graph), readSafetensors, constant, shape, UserError]
export type Used = ArrayValue | Tensor
// @ts-expect-error inner dims differ
ops.matmul(input('x', 'float32', ['batch', 64]), input('w', 'float32', [65, 8]))
`

/**
 * Compiles programs that use every entry point, strictly and with the declarations themselves checked, where nothing but onnxgrad
 * is installed. @param declarations of the package @returns what the compiler says: nothing when all is right
 */
export function compileConsumer(
  declarations: string,
  { compiler, resolution, dom }: Settings,
): Promise<string> {
  const folder = temporary()
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(dirname(declarations), join(folder, 'node_modules/onnxgrad'))
  writeFileSync(join(folder, 'node.ts'), programOf('node'))
  // Only a page has the DOM, and only with it the declarations for pages make sense.
  if (dom) writeFileSync(join(folder, 'web.ts'), programOf('web'))
  const compilerOptions = {
    strict: true,
    skipLibCheck: false,
    noEmit: true,
    types: [],
    target: 'es2022',
    lib: ['es2022', ...(dom ? ['dom'] : [])],
    module: resolution === 'bundler' ? 'esnext' : resolution,
    moduleResolution: resolution,
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  const program = join(ROOT, 'node_modules', COMPILERS[compiler], 'bin/tsc')
  return new Promise(done => {
    execFile(process.execPath, [program, '-p', folder], { maxBuffer: 2 ** 26 }, (_, stdout, stderr) =>
      done(stdout + stderr),
    )
  })
}
