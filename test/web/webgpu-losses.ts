import { MODELS } from '../../models/index.ts'
import { batches } from '../../src/data/batches.ts'
import { subset } from '../../src/data/dataset.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { Executor } from '../../src/train/executor.ts'
import { initialize, layoutOf } from '../../src/train/layout.ts'
import { adam } from '../../src/train/optimizer.ts'
import { realDigits } from '../data/files.ts'

// A program of its own, because Vulkan's loader reads the environment when the process starts.
// Trains the lecture's ViT on the named device and prints what each step reports, as JSON.

const BATCH = 8
const EPOCHS = 10

const { train, normalization } = await realDigits()
const model = MODELS.vit.build(MODELS.vit.presets.lecture)
const layout = layoutOf(model.parameters)
const executor = new Executor(
  model,
  await nodeRuntime(process.argv[2]!),
  layout,
  { params: initialize(layout, 1) },
  { optimizer: adam({ lr: 1e-3 }), seed: 1, normalization },
)
const images = subset(train, 2 * BATCH)
const losses: number[] = []
for (let epoch = 0; epoch < EPOCHS; epoch++)
  for (const batch of batches(images, { batch: BATCH, seed: 1, epoch }))
    losses.push((await executor.step(batch, losses.length + 1, 1e-3)).loss)
const [probe] = batches(images, { batch: BATCH, shuffle: false })
const logits = await executor.predict(probe!)
const { params } = await executor.state()
await executor.close()
const norm = Math.sqrt(params!.reduce((sum, p) => sum + p * p, 0))
console.log(JSON.stringify({ losses, logits: [...logits], norm }))
