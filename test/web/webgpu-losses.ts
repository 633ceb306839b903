import { MODELS } from '../../models/index.ts'
import { batches } from '../../src/data/batches.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { Executor } from '../../src/train/executor.ts'
import { initialize, layoutOf } from '../../src/train/layout.ts'
import { adam } from '../../src/train/optimizer.ts'
import { realDigits } from '../data/files.ts'

// A program of its own, because Vulkan's loader reads the environment when the process starts.
// Trains the lecture's ViT on the named device and prints what each step reports, as JSON.

const STEPS = 20
const BATCH = 8

const { train, mean, std } = await realDigits()
const model = MODELS.vit.build(MODELS.vit.presets.lecture)
const layout = layoutOf(model.parameters)
const executor = new Executor(
  model,
  await nodeRuntime(process.argv[2]!),
  layout,
  { params: initialize(layout, 1) },
  { batch: BATCH, optimizer: adam({ lr: 1e-3 }), seed: 1, normalization: { mean, std } },
)
const losses: number[] = []
let last: Float32Array | undefined
for (const batch of batches(train, { batch: BATCH, seed: 1 })) {
  const { loss } = await executor.step(batch, losses.length + 1, 1e-3)
  losses.push(loss)
  if (losses.length < STEPS) continue
  last = await executor.predict(batch)
  break
}
const { params } = await executor.state()
await executor.close()
const norm = Math.sqrt(params!.reduce((sum, p) => sum + p * p, 0))
console.log(JSON.stringify({ losses, logits: [...last!], norm }))
