import { join } from 'node:path'
import { EventWriter } from '../report/tensorboard-node.ts'
import { type EpochResult, flatMetrics, measureOf, type Progress } from '../train/progress.ts'
import type { RunFolder } from './folder-node.ts'

/** About how many lines of steps a run has. */
const LINES = 1000

/** Folder of TensorBoard's event files in a run folder. */
const TENSORBOARD = 'tensorboard'

/**
 * Name of an epoch's figure in TensorBoard, which shows those with the same first word beside each other: `accuracy/val`. Undefined
 * for what is not shown.
 */
function tagOf(key: string): string | undefined {
  if (key === 'examplesPerSecond') return 'speed/examples per second'
  const { set, measure } = measureOf(key) ?? {}
  return set && `${measure}/${set}`
}

/**
 * Writes down how a run goes: epochs into `metrics.jsonl`, means over a few steps into `steps.jsonl`, and both into event files
 * for TensorBoard where that is asked for. @param from steps done before
 */
export function runLog(folder: RunFolder, { tensorboard = false, from = 0 }) {
  let events: Promise<EventWriter> | undefined
  const show = async (step: number, scalars: Readonly<Record<string, number>>): Promise<void> => {
    if (!tensorboard) return
    events ??= EventWriter.open(join(folder.path, TENSORBOARD), from)
    await (await events).add(step, scalars)
  }
  let [loss, gradNorm, steps] = [0, 0, 0]
  return {
    async step(p: Progress): Promise<void> {
      loss += p.last.loss
      gradNorm += p.gradNorm
      steps++
      const { step, epoch, lr, steps: all = step } = p
      if (step % Math.ceil(all / LINES) && step < all) return
      const means = { loss: loss / steps, gradNorm: gradNorm / steps }
      await folder.record({ step, epoch, lr, ...means }, 'steps')
      await show(step, { 'loss/step': means.loss, 'gradient/norm': means.gradNorm, 'learning rate': lr })
      ;[loss, gradNorm, steps] = [0, 0, 0]
    },
    async epoch(result: EpochResult): Promise<void> {
      const line = flatMetrics(result)
      await folder.record(line)
      const shown = Object.entries(line).flatMap(([key, value]) => {
        const tag = tagOf(key)
        return tag === undefined ? [] : [[tag, value] as const]
      })
      await show(result.step, Object.fromEntries(shown))
    },
  }
}
