/**
 * Trains the lecture's ViT for many steps on noise and prints memory and speed along the way: both must stay level.
 * Run: npx tsx scripts/soak.ts [steps]     20,000 steps take about four minutes on two cores.
 */
import { MODELS } from '../models/index.ts'
import { rng } from '../src/graph/random.ts'
import { nodeRuntime } from '../src/runtime/node.ts'
import { Executor } from '../src/train/executor.ts'
import { initialize, layoutOf } from '../src/train/layout.ts'
import { adam } from '../src/train/optimizer.ts'

const steps = Number(process.argv[2] ?? 20_000)
const batch = 64
const report = Math.max(1, Math.floor(steps / 20))

const model = MODELS.vit.build(MODELS.vit.presets.lecture)
const layout = layoutOf(model.parameters)
const run = new Executor(
  model,
  await nodeRuntime('cpu'),
  layout,
  { params: initialize(layout, 0) },
  { seed: 0, optimizer: adam() },
)
const random = rng(0)
const input = Float32Array.from({ length: batch * 28 * 28 }, () => random.uniform())
const label = Int32Array.from({ length: batch }, () => random.int(10))

const megabytes = () => process.memoryUsage().rss / 2 ** 20
let begin = performance.now()
let warm = 0
console.log('    step  ms/step  RSS MB')
for (let step = 1; step <= steps; step++) {
  await run.step({ input, label, count: batch }, step, 1e-4)
  if (step % report) continue
  const ms = (performance.now() - begin) / report
  if (step === report) warm = megabytes()
  console.log(
    `${String(step).padStart(8)}  ${ms.toFixed(2).padStart(7)}  ${megabytes().toFixed(1).padStart(6)}`,
  )
  begin = performance.now()
}
console.log(`growth after the first ${report} steps: ${(megabytes() - warm).toFixed(1)} MB`)
await run.close()
