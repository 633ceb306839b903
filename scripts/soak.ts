/**
 * Trains the lecture's ViT for many steps on noise, with all that a long run does, and prints memory and speed along the
 * way: both must stay level.
 * Run: npx tsx scripts/soak.ts [steps]     50,000 steps take about seven minutes on two cores.
 */
import { MODELS } from '../models/index.ts'
import { augmentation } from '../src/data/augment.ts'
import type { ImageDataset } from '../src/data/dataset.ts'
import { rng } from '../src/graph/random.ts'
import { adam } from '../src/optim/optimizer.ts'
import { workerRuntime } from '../src/runtime/worker-node.ts'
import { classification } from '../src/tasks/classification.ts'
import { fit as learn } from '../src/train/fit.ts'

const BATCH = 64
const PER_EPOCH = 100
/** Lines that are printed. */
const LINES = 20

const epochs = Math.max(1, Math.round(Number(process.argv[2] ?? 50_000) / PER_EPOCH))
const every = Math.max(1, Math.floor(epochs / LINES))
const model = MODELS.vit.build({ ...MODELS.vit.presets.lecture, dropout: 0.1 })

function noise(name: string, size: number): ImageDataset {
  const random = rng(size)
  const images = Uint8Array.from({ length: size * 28 * 28 }, () => random.int(256))
  const labels = Uint8Array.from({ length: size }, () => random.int(10))
  return { name, size, shape: [1, 28, 28], classes: [...'0123456789'], images, labels }
}
const train = noise('noise', BATCH * PER_EPOCH)
const source = { train, val: noise('val', 250), test: noise('test', 250), origin: 'noise' }

const megabytes = (): number => process.memoryUsage().rss / 2 ** 20
let first = { ms: 0, mb: 0 }
let ms = 0
const runtime = await workerRuntime('cpu')
console.log('    step  ms/step  RSS MB')
await learn(runtime, model, {
  task: classification({ targets: 'mixed' }),
  data: source,
  epochs,
  batch: BATCH,
  optimizer: adam({ lr: 1e-4 }),
  ema: 0.999,
  augment: augmentation({ rotate: 10, mixup: 0.2 }),
  async onEpoch(epoch, running) {
    // As a checkpoint does.
    const { step } = await running.state()
    ms += (1000 * BATCH) / epoch.examplesPerSecond / every
    if (epoch.epoch % every) return
    const now = { ms, mb: megabytes() }
    if (epoch.epoch === every) first = now
    console.log(
      `${String(step).padStart(8)}  ${now.ms.toFixed(2).padStart(7)}  ${now.mb.toFixed(1).padStart(6)}`,
    )
    if (epoch.epoch === every * LINES)
      console.log(
        `since the first line: ${(now.mb - first.mb).toFixed(1)} MB, ${(now.ms / first.ms).toFixed(2)} times the time of a step`,
      )
    ms = 0
  },
})
await runtime.close()
