import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readSafetensors } from '../../src/export/safetensors.ts'
import { setBatchNorm } from '../../src/finetune/index.ts'
import { loadOnnx } from '../../src/import/load.ts'
import { layoutOf, views } from '../../src/nn/layout.ts'
import { sgd } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import type { Runtime } from '../../src/runtime/session.ts'
import { classification } from '../../src/tasks/index.ts'
import { Trainer } from '../../src/train/trainer.ts'
import type { SingleStep } from '../../src/train/trainer-options.ts'

// Files that scripts/finetune-references.py wrote, with ten steps that PyTorch trained them.

let runtime: Runtime
beforeAll(async () => {
  runtime = await nodeRuntime('cpu')
})
afterAll(() => runtime.close())

const STEPS = 10
const kinds = ['preserved', 'dynamo', 'trained'] as const
const modes = ['evaluation', 'training'] as const

test.each(kinds.flatMap(kind => modes.map(mode => [kind, mode] as const)))(
  'a file exported %s, fine-tuned with batch norms in %s mode, has the losses of PyTorch',
  async (kind, mode) => {
    const path = fileURLToPath(new URL(`./torch/${kind}.bin.gz`, import.meta.url))
    const { tensors } = readSafetensors(gunzipSync(readFileSync(path)), path)
    const of = (name: string) => tensors[name]!.data
    const file = loadOnnx(Uint8Array.from(of('onnx') as Uint8Array), `${kind}.onnx`)
    const trainer = new Trainer<SingleStep>(runtime, setBatchNorm(file, mode), {
      task: classification(),
      optimizer: sgd({ lr: 0.1, momentum: 0.9 }),
    })
    const part = <A extends Float32Array | Int32Array>(values: A, i: number) =>
      values.slice((i * values.length) / STEPS, ((i + 1) * values.length) / STEPS) as A
    try {
      for (let i = 0; i < STEPS; i++) {
        const image = part(of('x') as Float32Array, i)
        const { loss } = await trainer.step({
          x: { data: image, dims: [12, 3, 8, 8] },
          label: part(of('label') as Int32Array, i),
        })
        expect(Math.abs(loss - Number(of(`loss.${mode}`)[i])), `step ${i + 1}`).toBeLessThan(1e-4)
      }
      const { model, params } = await trainer.trained()
      for (const [name, values] of views(layoutOf(model.parameters), params))
        for (const [i, value] of values.entries())
          expect(Math.abs(value - Number(of(`after.${mode}.${name}`)[i])), name).toBeLessThan(1e-4)
    } finally {
      await trainer.close()
    }
  },
)
