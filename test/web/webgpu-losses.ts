import { MODELS } from '../../models/index.ts'
import { batches } from '../../src/data/batches.ts'
import { subset } from '../../src/data/dataset.ts'
import { normalized } from '../../src/nn/normalize.ts'
import { adam } from '../../src/optim/optimizer.ts'
import { nodeRuntime } from '../../src/runtime/node.ts'
import { classification } from '../../src/tasks/classification.ts'
import { Trainer } from '../../src/train/trainer.ts'
import { realDigits } from '../data/files.ts'

// A program of its own, because Vulkan's loader reads the environment when the process starts.
// Trains the lecture's ViT, or a small one, on the named device for some epochs and prints what each step reports, as JSON.

const BATCH = 8
const [, , device, size, epochs] = process.argv

const { train, normalization } = await realDigits()
const small = size === 'small' ? { dim: 16, depth: 1, heads: 2, mlp: 16 } : {}
const model = normalized(
  MODELS.vit.build({ ...MODELS.vit.presets.lecture, ...small }),
  'image',
  normalization,
)
const trainer = new Trainer(await nodeRuntime(device!), model, {
  task: classification(),
  optimizer: adam({ lr: 1e-3 }),
  seed: 1,
})
const images = subset(train, 2 * BATCH)
const losses: number[] = []
for (let epoch = 0; epoch < Number(epochs); epoch++)
  for (const batch of batches(images, { batch: BATCH, seed: 1, epoch }))
    losses.push((await trainer.step(batch)).loss)
const [probe] = batches(images, { batch: BATCH, shuffle: false })
const { logits } = await trainer.predict({ image: probe!.image! })
const { params } = await trainer.trained()
await trainer.close()
const norm = Math.sqrt(params.reduce((sum, p) => sum + p * p, 0))
console.log(JSON.stringify({ losses, logits: Array.from(logits!.data, Number), norm }))
