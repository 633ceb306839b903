import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildModel, mlp } from '../../models/index.ts'
import type { Rng } from '../../src/graph/random.ts'
import { initialize, layoutOf } from '../../src/nn/layout.ts'
import { RECORD, recordedOptimizer, recordedSchedule, TRAINING } from '../../src/runs/record.ts'
import { RUN_FILES, readResumable, readRun } from '../../src/runs/saved-node.ts'
import { stateCheckpoint } from '../../src/train/checkpoint.ts'
import { ONLY, wholeLayout } from '../../src/train/step/state.ts'
import { temporaryFolder } from '../data/files.ts'
import { fuzz } from './fuzz.ts'
import { CHECKPOINT_MODEL, CHECKPOINT_RECORD } from './make-safetensors.ts'
import { mutate, mutateTree } from './mutate.ts'

const TEXTS = ['vit', 'mlp', 'gpt', 'cct', 'adam', 'sgd', 'lion', 'constant', 'onecycle', 'step', '1e9']
const METRICS = '{"epoch":1,"step":2,"trainLoss":0.5}\n{"epoch":2,"step":4,"trainLoss":0.4}\n'

const layout = wholeLayout(layoutOf(mlp(CHECKPOINT_MODEL).parameters))
const params = initialize(layout.all, 0)
const state = { steps: { [ONLY]: CHECKPOINT_RECORD.step }, vectors: { params, m: params, v: params } }

/** The files of a run, of which some were changed. */
function files(random: Rng): Record<string, Uint8Array> {
  const tree = structuredClone({
    config: { ...CHECKPOINT_RECORD, out: 'runs/x' } as object,
    record: CHECKPOINT_RECORD as object,
    training: { testAccuracy: 0.5, epochs: 2 } as object,
  })
  if (random.int(4)) mutateTree(tree, random, TEXTS)
  const metadata = { [RECORD]: JSON.stringify(tree.record), [TRAINING]: JSON.stringify(tree.training) }
  const changed = (bytes: Uint8Array) => (random.int(6) ? bytes : mutate(new Map([['good', bytes]]), random))
  return {
    [RUN_FILES.config]: changed(Buffer.from(JSON.stringify(tree.config ?? null))),
    [RUN_FILES.metrics]: changed(Buffer.from(METRICS)),
    [RUN_FILES.steps]: changed(Buffer.from(METRICS)),
    [RUN_FILES.last]: changed(stateCheckpoint(layout, state, metadata)),
  }
}

test('a run folder with changed files is read or refused, never worse', async () => {
  const folder = await temporaryFolder()
  const parse = async (bytes: Uint8Array) => {
    const contents = JSON.parse(Buffer.from(bytes).toString()) as Record<string, string>
    for (const [name, base64] of Object.entries(contents))
      await writeFile(join(folder, name), Buffer.from(base64, 'base64'))
    await readRun(folder, buildModel)
    const { record } = await readResumable(folder, buildModel, () => {})
    const { lr, scalars } = recordedOptimizer(record.optimizer)
    scalars(1, lr)
    const steps = record.epochs * Math.ceil(record.examples / record.batch)
    expect(recordedSchedule(record.schedule).at(0, steps)).toBeGreaterThanOrEqual(0)
  }
  const make = (random: Rng) =>
    Buffer.from(
      JSON.stringify(
        Object.fromEntries(
          Object.entries(files(random)).map(([name, b]) => [name, Buffer.from(b).toString('base64')]),
        ),
      ),
    )
  expect(await fuzz('run folder', 250, make, parse)).toBeGreaterThan(30)
})
